// What a tool gave: structured, texts, pictures. That a tool failed is told apart from what went wrong on the way to it.
import type { JSX } from "preact";
import { Copy } from "../copy";
import type { Block, Invoked } from "./workspaces";

export interface Outcome {
  /** Null: there was no answer of the tool's. */
  answer: Invoked | null;
  problem: string | null;
  cancelled: boolean;
  milliseconds: number;
}

/** Longer texts, in characters, are cut in the page. */
const SHOWN = 200_000;
const IMAGES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml", "image/avif", "image/bmp"]);

const text = (value: unknown): string => (typeof value === "string" ? value : "");

export function Result({ outcome }: { outcome: Outcome }): JSX.Element {
  const { answer, problem, cancelled, milliseconds } = outcome;
  const took = milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
  if (answer === null) {
    return (
      <div class={cancelled ? "result" : "result wrong"}>
        <p class="verdict" role={cancelled ? "status" : "alert"}>
          <strong>{cancelled ? "Cancelled" : "The tool could not be used"}</strong> after {took}
        </p>
        {!cancelled && <p>{problem}</p>}
      </div>
    );
  }
  const structured = typeof answer.result === "object" && answer.result !== null && !sameAs(answer.result, answer.content);
  return (
    <div class={answer.is_error ? "result wrong" : "result"}>
      <p class="verdict" role="status">
        <strong>{answer.is_error ? "The tool says that it failed" : "Done"}</strong> in {took}
      </p>
      {structured && <Text value={JSON.stringify(answer.result, null, 2)} label="Result" />}
      {answer.content.map((block, index) => (structured && repeats(block, answer.result) ? null : <Content key={index} block={block} />))}
      {!structured && answer.content.length === 0 && <p class="hint">It said nothing.</p>}
    </div>
  );
}

const sameAs = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);

/** Whether a text is the structured result once more. */
function repeats(block: Block, result: unknown): boolean {
  if (block["type"] !== "text") return false;
  try {
    return sameAs(JSON.parse(text(block["text"])), result);
  } catch {
    return false;
  }
}

function Content({ block }: { block: Block }): JSX.Element {
  const type = text(block["mimeType"]) || "application/octet-stream";
  switch (block["type"]) {
    case "text":
      return <Text value={text(block["text"])} label="Text" />;
    case "image":
      return IMAGES.has(type) ? <img src={`data:${type};base64,${text(block["data"])}`} alt="A picture that the tool gave" /> : <Data type={type} data={text(block["data"])} />;
    case "audio":
      return <Data type={type} data={text(block["data"])} />;
    case "resource": {
      const resource = block["resource"] as Block | undefined;
      const label = text(resource?.["uri"]) || "Resource";
      return typeof resource?.["blob"] === "string" ? (
        <Data type={text(resource["mimeType"]) || "application/octet-stream"} data={resource["blob"]} name={label} />
      ) : (
        <Text value={text(resource?.["text"])} label={label} />
      );
    }
    case "resource_link":
      return (
        <p>
          {text(block["name"])} <code>{text(block["uri"])}</code>
        </p>
      );
    default:
      return <Text value={JSON.stringify(block, null, 2)} label="Content" />;
  }
}

function Data({ type, data, name }: { type: string; data: string; name?: string }): JSX.Element {
  return (
    <p>
      <a class="button" href={`data:application/octet-stream;base64,${data}`} download={(name ?? type).replaceAll(/[^A-Za-z0-9.-]+/g, "-")}>
        Download {name ?? type}, {Math.round((data.length * 3) / 4)} bytes
      </a>
    </p>
  );
}

function Text({ value, label }: { value: string; label: string }): JSX.Element {
  return (
    <div class="snippet">
      <div class="head">
        <span class="path">{label}</span>
        <Copy text={value} about={label}>
          Copy
        </Copy>
      </div>
      <pre class="box" tabIndex={0} aria-label={label}>
        {value.length > SHOWN ? `${value.slice(0, SHOWN)}\n… ${value.length - SHOWN} characters more: copy it to see them` : value}
      </pre>
    </div>
  );
}
