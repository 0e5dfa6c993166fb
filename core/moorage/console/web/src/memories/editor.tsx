// A memory's words and what is noted beside them: for a new one, and to change one.
import type { JSX, TargetedKeyboardEvent } from "preact";
import { Dialog } from "../dialog";
import { Problem, useTask } from "../forms";
import * as memories from "./memories";
import type { Draft, Memory, MemoryType } from "./memories";

interface EditorProps {
  /** Null: a new one. */
  memory: Memory | null;
  /** For a new one: the stores that there are, and the one that is shown. */
  stores: memories.Store[];
  store: string;
  refresh: () => Promise<void>;
  onClose: () => void;
  onSave: (draft: Draft, store: string) => Promise<void>;
}

/** As a store's name may be. */
const STORE = "[A-Za-z0-9._\\-]{1,64}";

export function Editor({ memory, stores, store, refresh, onClose, onSave }: EditorProps): JSX.Element {
  const task = useTask(refresh);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    void task.run(() => onSave(draftOf(form), String(form.get("store") ?? "").trim()));
  };
  return (
    <Dialog title={memory === null ? "New memory" : "Change the memory"} kind="memory" onClose={onClose}>
      <form onSubmit={submit}>
        <label>
          What is to be remembered
          <textarea name="content" required rows={6} defaultValue={memory?.content ?? ""} autofocus onKeyDown={submitted} />
        </label>
        <div class="pair">
          <label>
            Category
            <input name="category" defaultValue={memory?.category ?? ""} placeholder="default" autocomplete="off" autocapitalize="none" />
          </label>
          <label>
            Kind
            <select name="memory_type" defaultValue={memory?.memory_type ?? "semantic"}>
              {memories.TYPES.map(([type, label]) => (
                <option key={type} value={type}>
                  {label}
                </option>
              ))}
            </select>
          </label>
          <label>
            Tags, with commas between
            <input name="tags" defaultValue={memory?.tags.join(", ") ?? ""} autocomplete="off" autocapitalize="none" />
          </label>
          <label>
            Importance, 1 to 10
            <input name="importance" type="number" min={1} max={10} required defaultValue={String(memory?.importance ?? 5)} inputMode="numeric" />
          </label>
        </div>
        {memory === null && (
          <label>
            Store
            <input
              name="store"
              list="stores"
              pattern={STORE}
              title="Letters, digits, dots, hyphens and underscores, at most 64"
              defaultValue={store}
              placeholder="default"
              autocomplete="off"
              autocapitalize="none"
              spellcheck={false}
            />
            <datalist id="stores">
              {stores.map(({ name }) => (
                <option key={name} value={name} />
              ))}
            </datalist>
          </label>
        )}
        <Problem text={task.problem} />
        <div class="choice">
          <button type="submit" disabled={task.busy}>
            {memory === null ? "Remember" : "Save"}
          </button>
          <button type="button" class="quiet" onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function draftOf(form: FormData): Draft {
  const text = (name: string) => String(form.get(name) ?? "").trim();
  const tags = text("tags")
    .split(",")
    .map((tag) => tag.trim())
    .filter((tag) => tag !== "");
  return {
    content: String(form.get("content") ?? ""),
    memory_type: text("memory_type") as MemoryType,
    category: text("category") || "default",
    tags: [...new Set(tags)],
    importance: Number(text("importance")),
  };
}

/** Enter makes a new line here; with Control or Command it is done. */
function submitted(event: TargetedKeyboardEvent<HTMLTextAreaElement>): void {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  event.currentTarget.form?.requestSubmit();
}
