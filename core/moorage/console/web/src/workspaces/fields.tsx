// The fields of a form that is made of a JSON Schema.
import type { JSX } from "preact";
import { useId, useState } from "preact/hooks";
import { at, type Draft, isLong, type Problems, type Schema, shapeOf } from "./schema";

interface FieldProps {
  root: Schema;
  schema: unknown;
  name: string;
  place: string;
  required: boolean;
  draft: Draft;
  problems: Problems;
  depth: number;
  put: (draft: Draft) => void;
}

const text = (value: unknown): string => (typeof value === "string" ? value : "");

export function Field(props: FieldProps): JSX.Element {
  const { root, schema, name, place, required, draft, problems, depth, put } = props;
  const shape = shapeOf(root, schema, depth);
  const id = useId();
  const about = text(shape.schema["description"]);
  const problem = problems[place];
  const head = <Head name={name} required={required} title={text(shape.schema["title"])} />;
  const below = (
    <>
      {about !== "" && (
        <span class="hint" id={`${id}a`}>
          {about}
        </span>
      )}
      {problem !== undefined && (
        <span class="problem" id={`${id}p`}>
          {problem}
        </span>
      )}
    </>
  );
  if (shape.kind === "object") {
    return (
      <fieldset class="nested">
        <legend>{head}</legend>
        {below}
        {shape.properties.map(([part, one]) => (
          <Field
            key={part}
            {...props}
            schema={one}
            name={part}
            place={at(place, part)}
            required={shape.required.has(part)}
            draft={draft.fields?.[part] ?? {}}
            depth={depth + 1}
            put={(inside) => put({ fields: { ...draft.fields, [part]: inside } })}
          />
        ))}
      </fieldset>
    );
  }
  if (shape.kind === "list") return <List {...props} items={shape.items} head={head} below={below} />;
  const more = {
    id,
    "aria-describedby": `${id}a ${id}p`,
    "aria-invalid": problem !== undefined,
    "aria-required": required,
    "data-place": place,
  };
  return (
    <div class="field">
      <label for={id}>{head}</label>
      {shape.kind === "choice" || shape.kind === "boolean" ? (
        <select {...more} value={draft.text ?? ""} onChange={(event) => put({ text: event.currentTarget.value })}>
          <option value="">{required ? "Choose…" : "Not given"}</option>
          {"options" in shape
            ? shape.options.map((one, index) => (
                <option key={index} value={String(index)}>
                  {typeof one === "string" ? one : JSON.stringify(one)}
                </option>
              ))
            : ["true", "false"].map((one) => <option key={one}>{one}</option>)}
        </select>
      ) : (
        <Typed kind={shape.kind} name={name} more={more} value={draft.text ?? ""} put={(typed) => put({ text: typed })} />
      )}
      {below}
    </div>
  );
}

function Head({ name, title, required }: { name: string; title: string; required: boolean }): JSX.Element {
  return (
    <>
      <span class="code">{name}</span>
      {title !== "" && title.toLowerCase() !== name.toLowerCase().replaceAll("_", " ") && ` ${title}`}
      {required && <span class="needed"> (needed)</span>}
    </>
  );
}

interface TypedProps {
  kind: string;
  name: string;
  more: { id: string; "aria-describedby": string; "aria-invalid": boolean; "aria-required": boolean; "data-place": string };
  value: string;
  put: (typed: string) => void;
}

function Typed({ kind, name, more, value, put }: TypedProps): JSX.Element {
  const [long, setLong] = useState(kind === "json" || (kind === "text" && isLong(name, value)));
  const plain = { autocomplete: "off", autocapitalize: "none", spellcheck: false } as const;
  if (long) {
    const placeholder = kind === "json" ? "JSON" : "";
    return (
      <textarea
        {...more}
        {...plain}
        rows={kind === "json" ? 3 : 4}
        placeholder={placeholder}
        value={value}
        onInput={(event) => put(event.currentTarget.value)}
      />
    );
  }
  return (
    <span class="typed">
      <input
        {...more}
        {...plain}
        inputMode={kind === "integer" ? "numeric" : kind === "number" ? "decimal" : "text"}
        value={value}
        onInput={(event) => put(event.currentTarget.value)}
      />
      {kind === "text" && (
        <button type="button" class="quiet" title="Several lines" onClick={() => setLong(true)}>
          ¶<span class="unseen"> Several lines for {name}</span>
        </button>
      )}
    </span>
  );
}

function List({ root, items, name, place, draft, problems, depth, put, head, below }: FieldProps & { items: Schema; head: JSX.Element; below: JSX.Element }): JSX.Element {
  const rows = draft.items ?? [];
  return (
    <fieldset class="nested">
      <legend>{head}</legend>
      {below}
      {rows.map((row, index) => (
        <div class="listed" key={index}>
          <Field
            root={root}
            schema={items}
            name={`${name} ${index + 1}`}
            place={at(place, index)}
            required={false}
            draft={row}
            problems={problems}
            depth={depth + 1}
            put={(one) => put({ items: rows.map((old, other) => (other === index ? one : old)) })}
          />
          <button type="button" class="quiet" onClick={() => put({ items: rows.filter((_, other) => other !== index) })}>
            ✕
            <span class="unseen">
              {" "}
              Remove {name} {index + 1}
            </span>
          </button>
        </div>
      ))}
      <div>
        <button type="button" class="quiet" onClick={() => put({ items: [...rows, {}] })}>
          Add<span class="unseen"> to {name}</span>
        </button>
      </div>
    </fieldset>
  );
}
