// Fields that several forms have: rules of tools, and names with values that may be secret.
import type { JSX } from "preact";
import { useId, useState } from "preact/hooks";
import { KEPT, type Rules } from "./workspaces";

/** The lines of a text that say something. */
export const lines = (text: string): string[] =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");

const rowsOf = (given: readonly string[]): number => Math.min(8, Math.max(2, given.length));

export function RulesFields({ rules }: { rules: Rules }): JSX.Element {
  const id = useId();
  return (
    <>
      <label>
        Tools that are allowed
        <textarea name="allow" rows={rowsOf(rules.allow)} defaultValue={rules.allow.join("\n")} spellcheck={false} aria-describedby={id} placeholder="git_*" />
      </label>
      <label>
        Tools that are not
        <textarea name="deny" rows={rowsOf(rules.deny)} defaultValue={rules.deny.join("\n")} spellcheck={false} aria-describedby={id} placeholder="git_reset" />
      </label>
      <p class="hint" id={id}>
        A pattern in each line; * stands for anything. No line above allows all; what is not allowed below is never there.
      </p>
    </>
  );
}

interface Pair {
  name: string;
  value: string;
  /** Its value is there and is not told: nothing typed leaves it so. */
  kept: boolean;
}

export const pairsOf = (given: Record<string, string>): Pair[] =>
  Object.entries(given).map(([name, value]) => ({ name, value: value === KEPT ? "" : value, kept: value === KEPT }));

/** As the server takes them: `KEPT` for those that stay as they are. */
export const given = (pairs: readonly Pair[]): Record<string, string> =>
  Object.fromEntries(pairs.filter(({ name }) => name.trim() !== "").map(({ name, value, kept }) => [name.trim(), kept && value === "" ? KEPT : value]));

const HIDDEN = { type: "password", autocomplete: "new-password" } as const;
const SHOWN = { type: "text", autocomplete: "off" } as const;

interface PairsProps {
  title: string;
  /** What one is called. */
  one: string;
  secret: boolean;
  pairs: Pair[];
  setPairs: (pairs: Pair[]) => void;
}

export function Pairs({ title, one, secret, pairs, setPairs }: PairsProps): JSX.Element {
  const [fresh, setFresh] = useState(false);
  const put = (at: number, change: Partial<Pair>) => setPairs(pairs.map((pair, index) => (index === at ? { ...pair, ...change } : pair)));
  return (
    <fieldset class="pairs">
      <legend>{title}</legend>
      {pairs.map((pair, at) => (
        <div class="pair" key={at}>
          <input
            aria-label={`Name of ${one} ${at + 1}`}
            placeholder="Name"
            value={pair.name}
            readOnly={pair.kept}
            autocomplete="off"
            autocapitalize="none"
            spellcheck={false}
            ref={(input) => {
              if (!fresh || at !== pairs.length - 1 || !input) return;
              input.focus();
              setFresh(false);
            }}
            onInput={(event) => put(at, { name: event.currentTarget.value })}
          />
          <input
            aria-label={`Value of ${pair.name || `${one} ${at + 1}`}`}
            {...(secret ? HIDDEN : SHOWN)}
            placeholder={pair.kept ? "unchanged" : "Value"}
            value={pair.value}
            autocapitalize="none"
            spellcheck={false}
            onInput={(event) => put(at, { value: event.currentTarget.value })}
          />
          <button type="button" class="quiet" aria-label={`Remove ${pair.name || `${one} ${at + 1}`}`} onClick={() => setPairs(pairs.filter((_, index) => index !== at))}>
            ✕
          </button>
        </div>
      ))}
      <button
        type="button"
        class="quiet"
        onClick={() => {
          setFresh(true);
          setPairs([...pairs, { name: "", value: "", kept: false }]);
        }}
      >
        Add {one}
      </button>
    </fieldset>
  );
}
