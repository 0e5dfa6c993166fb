// How the parts of the server are, as the server tells.
import * as api from "../api";

export interface Health {
  status: "healthy" | "degraded" | "unhealthy";
  version: string;
  /** Only for who may see them. */
  components?: Record<string, { status: "ok" | "degraded" | "failed"; response_time_ms: number; detail?: string }>;
}

/** A server that is not well answers 503, and says so in the same words. */
export async function health(): Promise<Health> {
  try {
    return await api.get<Health>("/health");
  } catch (error) {
    if (error instanceof api.ApiError && typeof error.body["status"] === "string") return error.body as unknown as Health;
    throw error;
  }
}
