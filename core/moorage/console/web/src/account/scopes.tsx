// What a new key may do: all that its owner may, or some of it, chosen from a list in words.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { grouped, type Right } from "./about";

const SOME = "some";
/** As many as the server takes. */
export const MOST = 64;

/** The chosen names; null for all that one may. */
export const chosen = (form: FormData): string[] | null => (form.get("may") === SOME ? form.getAll("scope").map(String) : null);

export function Scopes({ rights }: { rights: Right[] }): JSX.Element {
  const [some, setSome] = useState(false);
  const held = grouped(rights.filter((right) => right.held));
  const option = (value: string, text: string, checked: boolean) => (
    <label class="tick">
      <input type="radio" name="may" value={value} defaultChecked={checked} onChange={() => setSome(value === SOME)} />
      {text}
    </label>
  );
  return (
    <fieldset class="scopes" onReset={() => setSome(false)}>
      <legend>It may do</legend>
      {option("all", "all that you may do", true)}
      {option(SOME, "only what you choose", false)}
      {some &&
        held.map(([plugin, those]) => (
          <details key={plugin}>
            <summary>
              {plugin} <small>{those.length}</small>
            </summary>
            {those.map((right) => (
              <label class="tick" key={right.name} title={right.name}>
                <input type="checkbox" name="scope" value={right.name} />
                {right.summary}
              </label>
            ))}
          </details>
        ))}
    </fieldset>
  );
}
