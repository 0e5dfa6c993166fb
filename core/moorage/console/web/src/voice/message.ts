// What a server of voice says: JSON objects. A service elsewhere may say anything: that is let pass.

export function message(data: unknown): Record<string, unknown> {
  if (typeof data !== "string") return {};
  try {
    const found: unknown = JSON.parse(data);
    return typeof found === "object" && found !== null ? (found as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
