// What is asked before an invite is made.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import * as api from "../api";
import { Dialog } from "../dialog";
import { Problem, useTask } from "../forms";

/** A new invite: the link or the code that lets somebody in. */
export interface Made {
  kind: "link" | "code";
  text: string;
}

const DAY = 86_400;
const TERMS = [
  [1, "a day"],
  [7, "a week"],
  [30, "30 days"],
  [90, "90 days"],
  [365, "a year"],
] as const;

interface NewProps {
  roles: string[];
  refresh: () => Promise<void>;
  onClose: () => void;
  onMade: (made: Made) => Promise<void>;
}

export function NewInvite({ roles, refresh, onClose, onMade }: NewProps): JSX.Element {
  const task = useTask(refresh);
  const [kind, setKind] = useState<Made["kind"]>("link");
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string) => String(form.get(name) ?? "").trim();
    const uses = text("uses") === "" ? {} : { max_uses: Number(text("uses")) };
    const note = text("note") === "" ? {} : { note: text("note") };
    const seconds = Number(text("days")) * DAY;
    const body = { role: text("role"), ...uses, ...note };
    void task.run(async () => {
      if (kind === "link") {
        const { url } = await api.post<{ url: string }>("/api/invites", { ...body, expiresIn: seconds });
        await onMade({ kind, text: url });
      } else {
        const own = text("code") === "" ? {} : { code: text("code") };
        const made = await api.post<{ code: string }>("/api/admin/invite-codes", { ...body, ...own, expires_in_secs: seconds });
        await onMade({ kind, text: made.code });
      }
    });
  };
  return (
    <Dialog title="New invite" onClose={onClose}>
      <form onSubmit={submit}>
        <label>
          As
          <select value={kind} autofocus onChange={(event) => setKind(event.currentTarget.value as Made["kind"])}>
            <option value="link">a link, which is shown once</option>
            <option value="code">a code, which can be typed</option>
          </select>
        </label>
        {kind === "code" && (
          <label>
            Code
            <input name="code" minLength={4} maxLength={64} pattern="[A-Za-z0-9_\-]+" autocomplete="off" spellcheck={false} placeholder="made up, if you give none" title="Letters, digits, _ and -" />
          </label>
        )}
        <label>
          Role of whoever comes
          <select name="role">
            {roles.map((role) => (
              <option key={role} value={role} selected={role === "operator"}>
                {role}
              </option>
            ))}
          </select>
        </label>
        <div class="pair">
          <label>
            For how many people
            <input key={kind} name="uses" type="number" min={1} max={1_000_000} defaultValue="1" required={kind === "code"} inputMode="numeric" placeholder="as many as come" />
          </label>
          <label>
            Good for
            <select name="days">
              {TERMS.map(([days, words]) => (
                <option key={days} value={days} selected={days === 7}>
                  {words}
                </option>
              ))}
            </select>
          </label>
        </div>
        <label>
          Note for yourself
          <input name="note" maxLength={200} autocomplete="off" placeholder="for whom it is" />
        </label>
        <Problem text={task.problem} />
        <div class="choice">
          <button type="submit" disabled={task.busy}>
            {task.busy ? "Making…" : "Make the invite"}
          </button>
          <button type="button" class="quiet" onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}
