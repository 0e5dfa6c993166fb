// One tool: tried with a form that is made of its schema.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, CANCELLED } from "../api";
import { words } from "../forms";
import { Field } from "./fields";
import { type Outcome, Result } from "./result";
import { type Draft, draftOf, isObject, type Problems, type Schema, shapeOf, valueOf } from "./schema";
import * as workspaces from "./workspaces";

interface TryProps {
  mount: string;
  workspace: number;
  tool: workspaces.Tool;
  refresh: () => Promise<void>;
}

/** What the server finds wrong with parameters, by their place in them. */
function told(error: unknown): Problems {
  const found: Problems = {};
  const errors = error instanceof ApiError && error.status === 422 ? error.body["errors"] : [];
  for (const one of Array.isArray(errors) ? errors : []) {
    if (isObject(one) && typeof one["field"] === "string") found[one["field"].replace(/^\/parameters/, "")] = String(one["message"]);
  }
  return found;
}

export function Try({ mount, workspace, tool, refresh }: TryProps): JSX.Element {
  const schema: Schema = isObject(tool.inputSchema) ? tool.inputSchema : {};
  const shape = shapeOf(schema, schema);
  const formed = shape.kind === "object";
  const [draft, setDraft] = useState<Draft>(() => draftOf(schema, schema, {}));
  const [text, setText] = useState<string | null>(formed ? null : "{}");
  const [problems, setProblems] = useState<Problems>({});
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const [running, setRunning] = useState<AbortController | null>(null);
  const form = useRef<HTMLFormElement>(null);
  const going = useRef<AbortController | null>(null);
  useEffect(() => () => going.current?.abort(), []);

  const run = async (parameters: unknown) => {
    const cancel = new AbortController();
    going.current = cancel;
    setRunning(cancel);
    setOutcome(null);
    const begun = performance.now();
    const ended = (answer: workspaces.Invoked | null, error?: unknown) => {
      const cancelled = error instanceof ApiError && error.code === CANCELLED;
      setOutcome({ answer, problem: error === undefined ? null : words(error), cancelled, milliseconds: performance.now() - begun });
    };
    try {
      ended(await workspaces.invoke(mount, workspace, tool.name, parameters, cancel.signal));
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) void refresh();
      setProblems(told(error));
      ended(null, error);
    } finally {
      setRunning(null);
      going.current = null;
    }
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (going.current !== null) return;
    const wrong: Problems = {};
    let parameters: unknown;
    if (text === null) parameters = valueOf(schema, schema, draft, true, wrong);
    else {
      try {
        parameters = JSON.parse(text) as unknown;
        if (!isObject(parameters)) wrong[""] = "The parameters are a JSON object.";
      } catch {
        wrong[""] = "This is no JSON.";
      }
    }
    setProblems(wrong);
    const first = Object.keys(wrong)[0];
    if (first === undefined) void run(parameters);
    else [...(form.current?.querySelectorAll<HTMLElement>("[data-place]") ?? [])].find((one) => one.dataset["place"] === first)?.focus();
  };
  const change = () => {
    setProblems({});
    if (text === null) return setText(JSON.stringify(valueOf(schema, schema, draft, true, {}) ?? {}, null, 2));
    try {
      setDraft(draftOf(schema, schema, JSON.parse(text)));
      setText(null);
    } catch {
      setProblems({ "": "This is no JSON." });
    }
  };
  const keys = (event: KeyboardEvent) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.current?.requestSubmit();
    }
  };
  return (
    <>
      <form class="try" ref={form} noValidate onSubmit={submit} onKeyDown={keys} aria-label={`Try ${tool.name}`}>
        {text !== null ? (
          <div class="field">
            <label for="parameters">Parameters, as JSON</label>
            <textarea
              id="parameters"
              rows={8}
              value={text}
              spellcheck={false}
              data-place=""
              aria-invalid={problems[""] !== undefined}
              onInput={(event) => setText(event.currentTarget.value)}
            />
            {problems[""] !== undefined && <span class="problem">{problems[""]}</span>}
          </div>
        ) : shape.kind === "object" && shape.properties.length > 0 ? (
          shape.properties.map(([name, one]) => (
            <Field
              key={name}
              root={schema}
              schema={one}
              name={name}
              place={`/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`}
              required={shape.required.has(name)}
              draft={draft.fields?.[name] ?? {}}
              problems={problems}
              depth={1}
              put={(inside) => setDraft((before) => ({ fields: { ...before.fields, [name]: inside } }))}
            />
          ))
        ) : (
          <p class="hint">It needs no parameters.</p>
        )}
        <div class="choice">
          <button type="submit" disabled={running !== null} aria-keyshortcuts="Control+Enter">
            {running === null ? "Run" : "Running…"}
          </button>
          {/* Always there, so that nothing moves. */}
          <button type="button" class="quiet" disabled={running === null} onClick={() => running?.abort()}>
            Cancel
          </button>
          {formed && (
            <button type="button" class="quiet" onClick={change}>
              {text === null ? "Write it as JSON" : "Fill in a form"}
            </button>
          )}
        </div>
      </form>
      <div aria-live="polite">{outcome !== null && <Result outcome={outcome} />}</div>
    </>
  );
}
