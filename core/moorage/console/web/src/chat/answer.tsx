// What a model said: its thoughts, the tools that it used on the way, and its text as Markdown.
import type { JSX } from "preact";
import { lazy, Suspense } from "preact/compat";
import type { Round, ToolUse } from "./chats";
import type { MarkdownProps } from "./markdown";

/** Where its code cannot be had, because the connection broke just now, the text is better than nothing. */
const Plain = ({ text }: MarkdownProps): JSX.Element => <p class="plain">{text}</p>;
const Markdown = lazy(() => import("./markdown").catch(() => ({ default: Plain })));

interface AnswerProps {
  text: string;
  thought: string;
  rounds: readonly Round[];
  /** Whether more will come. */
  grows?: boolean;
}

export function Answer({ text, thought, rounds, grows = false }: AnswerProps): JSX.Element {
  const pieces = cut(text, rounds, grows);
  return (
    <>
      {thought !== "" && (
        <details class="thought" open={grows && text === "" && rounds.length === 0 ? true : undefined}>
          <summary>Thoughts</summary>
          <p>{thought}</p>
        </details>
      )}
      {pieces.map(({ said, calls }, index) => (
        <div key={index} class="piece">
          {said !== "" && <Text text={said} grows={grows && index === pieces.length - 1} />}
          {calls.map((call, at) => (
            <Use key={at} call={call} />
          ))}
        </div>
      ))}
    </>
  );
}

/** Shown as it is until the code for Markdown is here. */
const Text = (props: MarkdownProps): JSX.Element => (
  <Suspense fallback={<Plain {...props} />}>
    <Markdown {...props} />
  </Suspense>
);

interface Piece {
  said: string;
  calls: readonly ToolUse[];
}

/** The text between the places where tools were used. Stored places count whole characters, a browser counts halves. */
function cut(text: string, rounds: readonly Round[], grows: boolean): Piece[] {
  if (rounds.length === 0) return [{ said: text, calls: [] }];
  const letters = grows ? null : Array.from(text);
  const part = (from: number, to?: number) => (letters === null ? text.slice(from, to) : letters.slice(from, to).join(""));
  const pieces: Piece[] = [];
  let from = 0;
  for (const { until, calls } of rounds) {
    pieces.push({ said: part(from, until), calls });
    from = until;
  }
  pieces.push({ said: part(from), calls: [] });
  return pieces;
}

function Use({ call }: { call: ToolUse }): JSX.Element {
  const how = call.text === null ? "…" : call.is_error ? "failed" : "done";
  return (
    <details class={call.is_error ? "use wrong" : "use"}>
      <summary>
        Tool <code>{call.tool}</code> {how}
      </summary>
      <pre class="box" tabIndex={0} aria-label={`What ${call.tool} was given`}>
        {JSON.stringify(call.arguments, null, 2)}
      </pre>
      {call.text !== null && (
        <pre class="box" tabIndex={0} aria-label={`What ${call.tool} said`}>
          {call.text}
        </pre>
      )}
    </details>
  );
}
