// Server-sent events read from an answer's body: the standard's framing, as far as a stream of answers uses it.
// Not by `EventSource`: it takes an event called "error" for a lost connection, and asks again after the last event.

export interface StreamEvent {
  /** The event's number, 0 where it has none: a sign of life. */
  id: number;
  type: string;
  data: Record<string, unknown>;
}

/** Silence for so long in milliseconds means that the connection is lost: the server gives signs of life. */
const SILENCE = 60_000;

/** Each event as it comes. Ends with the body; throws when the connection breaks or is silent for too long. */
export async function* events(response: Response, silence = SILENCE): AsyncGenerator<StreamEvent, void> {
  if (response.body === null) return;
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await within(reader.read(), silence);
      if (done) return;
      rest += decoder.decode(value, { stream: true });
      let end: number;
      while ((end = rest.indexOf("\n\n")) >= 0) {
        const event = read(rest.slice(0, end));
        rest = rest.slice(end + 2);
        if (event !== null) yield event;
      }
    }
  } finally {
    void reader.cancel().catch(() => undefined);
  }
}

function read(block: string): StreamEvent | null {
  const event: StreamEvent = { id: 0, type: "message", data: {} };
  const lines: string[] = [];
  for (const line of block.split("\n")) {
    const at = line.indexOf(":");
    const value = line.slice(at + 1).replace(/^ /, "");
    if (line.startsWith("id:")) event.id = Number(value) || 0;
    else if (line.startsWith("event:")) event.type = value;
    else if (line.startsWith("data:")) lines.push(value);
  }
  if (lines.length === 0) return null;
  event.data = JSON.parse(lines.join("\n")) as Record<string, unknown>;
  return event;
}

async function within<T>(work: Promise<T>, milliseconds: number): Promise<T> {
  let timer = 0;
  const late = new Promise<never>((_, reject) => {
    timer = window.setTimeout(() => reject(new Error("The connection is silent.")), milliseconds);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
