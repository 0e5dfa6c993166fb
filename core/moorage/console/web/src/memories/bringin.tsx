// Memories of a file that was exported here or elsewhere.
import type { JSX } from "preact";
import { Problem, useTask } from "../forms";
import * as memories from "./memories";

interface BringInProps {
  mount: string;
  store: string;
  refresh: () => Promise<void>;
  done: (imported: memories.Imported) => Promise<void>;
}

export function BringIn({ mount, store, refresh, done }: BringInProps): JSX.Element {
  const task = useTask(refresh);
  const bring = (file: File) =>
    task.run(async () => {
      if (file.size > memories.MAX_IMPORT) throw new Error("The file is larger than 32 MiB: divide it at the end of a line.");
      await done(await memories.bringIn(mount, store, file));
    });
  return (
    <>
      <label class="button upload">
        <input
          type="file"
          class="unseen"
          accept=".jsonl,.ndjson,.json"
          disabled={task.busy}
          onChange={(event) => {
            const field = event.currentTarget;
            const file = field.files?.[0];
            // Emptied, so that the same file can be chosen again.
            if (file) void bring(file).then(() => (field.value = ""));
          }}
        />
        <span>{task.busy ? "Importing…" : "Import"}</span>
      </label>
      <Problem text={task.problem} />
    </>
  );
}
