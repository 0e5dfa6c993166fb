// What plugins say of a user, whatever that is.
import { Fragment, type JSX } from "preact";

/** Of a list so many are named. */
const NAMED = 20;

export function Told({ plugins }: { plugins: Record<string, Record<string, unknown>> }): JSX.Element | null {
  const told = Object.entries(plugins).filter(([, said]) => Object.keys(said).length > 0);
  if (told.length === 0) return null;
  return (
    <section class="part" aria-labelledby="told">
      <h2 id="told">What plugins say</h2>
      <dl class="facts">
        {told.flatMap(([plugin, said]) =>
          Object.entries(said).map(([key, value]) => (
            <Fragment key={`${plugin} ${key}`}>
              <dt>
                {plugin}: {key.replaceAll("_", " ")}
              </dt>
              <dd>{inWords(value)}</dd>
            </Fragment>
          )),
        )}
      </dl>
    </section>
  );
}

function inWords(value: unknown): string {
  if (value === null || value === undefined || value === "") return "none";
  if (Array.isArray(value)) {
    if (value.length === 0) return "none";
    const names = value.slice(0, NAMED).map(nameOf);
    return `${value.length}: ${names.join(", ")}${value.length > NAMED ? ", …" : ""}`;
  }
  return nameOf(value);
}

function nameOf(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  const object = value as Record<string, unknown>;
  for (const key of ["name", "title", "id"]) {
    const text = object[key];
    if ((typeof text === "string" && text !== "") || typeof text === "number") return String(text);
  }
  return JSON.stringify(value);
}
