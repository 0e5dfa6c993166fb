// A password for somebody else: typed, or made up, and shown, for it has to be handed over.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Copy } from "../copy";
import { madeUp } from "./people";

interface NewPasswordProps {
  label: string;
  hint: string;
  required: boolean;
}

/** The form's field `password`. */
export function PasswordForOther({ label, hint, required }: NewPasswordProps): JSX.Element {
  const [text, setText] = useState("");
  return (
    <div class="handed">
      <label>
        {label}
        <input
          name="password"
          class="code"
          value={text}
          required={required}
          maxLength={1024}
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </label>
      <div class="choice">
        <button type="button" class="quiet" onClick={() => setText(madeUp())}>
          Make one up
        </button>
        {text !== "" && (
          <Copy text={text} about="the password">
            Copy
          </Copy>
        )}
      </div>
      <p class="hint">{hint}</p>
    </div>
  );
}
