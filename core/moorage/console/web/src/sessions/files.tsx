// The files of a session's project: folders to walk through, texts to read and edit, uploads and downloads.
import type { JSX } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../api";
import { Dialog } from "../dialog";
import { Confirm, Problem, Said, useTask, words } from "../forms";
import { go, useQuery } from "../router";
import { Trouble } from "../shell/trouble";
import { ago, full } from "../time";
import { Editor } from "./editor";
import { type Entry, Files, above, within } from "./files-api";
import * as sessions from "./sessions";

interface FilesProps {
  mount: string;
  session: sessions.Session;
  mayWrite: boolean;
  refresh: () => Promise<void>;
}

type Ask = { what: "file" } | { what: "folder" } | { what: "name"; entry: Entry };

export default function FilesPage({ mount, session, mayWrite, refresh }: FilesProps): JSX.Element {
  const query = useQuery();
  const folder = query.get("path") ?? "";
  const [files] = useState(() => new Files(mount, session.id));
  const [entries, setEntries] = useState<Entry[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [hidden, setHidden] = useState(false);
  const [opened, setOpened] = useState<Entry | null>(null);
  const [asked, setAsked] = useState<Ask | null>(null);
  const [said, setSaid] = useState<string | null>(null);
  const task = useTask(refresh);
  const picker = useRef<HTMLInputElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const current = useRef(folder);
  current.current = folder;

  const load = useCallback(async () => {
    try {
      const found = await files.list(folder, hidden);
      if (current.current !== folder) return;
      setEntries(found);
      setProblem(null);
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) void refresh();
      if (current.current === folder) setProblem(words(error));
    }
  }, [files, folder, hidden]);
  useEffect(() => {
    setEntries(null);
    setOpened(null);
    void load();
  }, [load]);

  const address = (path: string) => `${sessions.pageOf(session.id, "files")}${path === "" ? "" : `?${new URLSearchParams({ path })}`}`;
  const change = (text: string, work: () => Promise<void>) =>
    task.run(async () => {
      await work();
      setSaid(text);
      await load();
    });
  const upload = async (chosen: FileList | null) => {
    for (const file of chosen ?? []) await change(`Uploaded: ${file.name}.`, () => files.upload(folder, file));
    if (picker.current) picker.current.value = "";
  };
  const answer = (name: string) => {
    if (asked === null) return;
    const path = within(folder, name);
    const work =
      asked.what === "folder"
        ? () => files.folder(path)
        : asked.what === "file"
          ? () => files.create(path)
          : () => files.move(asked.entry.path, name.startsWith("/") ? name.slice(1) : path);
    void change(asked.what === "name" ? `Renamed: ${asked.entry.name}.` : `Made: ${name}.`, work).then((good) => {
      if (good) setAsked(null);
    });
  };
  if (opened !== null) {
    const close = () => {
      setOpened(null);
      void load();
    };
    return <Editor files={files} entry={opened} mayWrite={mayWrite} refresh={refresh} close={close} />;
  }
  return (
    <div class="files">
      <Crumbs folder={folder} address={address} />
      <div class="choice">
        {mayWrite && (
          <>
            <button type="button" class="quiet" disabled={task.busy} onClick={() => picker.current?.click()}>
              Upload
            </button>
            <input
              ref={picker}
              type="file"
              multiple
              hidden
              aria-label="Files to upload"
              onChange={(event) => void upload(event.currentTarget.files)}
            />
            <button type="button" class="quiet" aria-haspopup="dialog" onClick={() => setAsked({ what: "file" })}>
              New file
            </button>
            <button type="button" class="quiet" aria-haspopup="dialog" onClick={() => setAsked({ what: "folder" })}>
              New folder
            </button>
          </>
        )}
        <label class="tick">
          <input type="checkbox" checked={hidden} onChange={(event) => setHidden(event.currentTarget.checked)} />
          Show hidden files
        </label>
      </div>
      <h2 class="unseen" tabIndex={-1} ref={heading}>
        {folder === "" ? "The project's folder" : folder}
      </h2>
      {asked === null && <Problem text={task.problem} />}
      <Said>{said}</Said>
      {problem !== null && <Trouble text={problem} retry={load} />}
      {entries === null ? (
        problem === null && <p class="loading">Loading…</p>
      ) : entries.length === 0 ? (
        <p class="empty">Nothing is in this folder.</p>
      ) : (
        <ul class="rows">
          {entries.map((entry) => (
            <Row
              key={entry.path}
              entry={entry}
              address={address(entry.path)}
              download={files.download(entry)}
              open={() => setOpened(entry)}
              rename={mayWrite && entry.encoded === undefined ? () => setAsked({ what: "name", entry }) : null}
              erase={
                mayWrite
                  ? () => void change(`Deleted: ${entry.name}.`, () => files.erase(entry)).then(() => heading.current?.focus())
                  : null
              }
              busy={task.busy}
            />
          ))}
        </ul>
      )}
      {asked !== null && (
        <NameDialog
          title={asked.what === "file" ? "New file" : asked.what === "folder" ? "New folder" : `Rename ${asked.entry.name}`}
          value={asked.what === "name" ? asked.entry.name : ""}
          busy={task.busy}
          problem={task.problem}
          onClose={() => {
            task.setProblem(null);
            setAsked(null);
          }}
          onName={answer}
        />
      )}
    </div>
  );
}

function Crumbs({ folder, address }: { folder: string; address: (path: string) => string }): JSX.Element {
  const steps = folder === "" ? [] : folder.split("/");
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "Backspace" && folder !== "" && event.target === event.currentTarget) go(address(above(folder)));
  };
  return (
    <nav class="crumbs" aria-label="Folder" onKeyDown={onKey}>
      <a href={address("")} aria-current={folder === "" ? "page" : undefined}>
        Project
      </a>
      {steps.map((name, index) => (
        <span key={index}>
          {" / "}
          <a href={address(steps.slice(0, index + 1).join("/"))} aria-current={index === steps.length - 1 ? "page" : undefined}>
            {name}
          </a>
        </span>
      ))}
    </nav>
  );
}

interface RowProps {
  entry: Entry;
  address: string;
  download: string;
  open: () => void;
  rename: (() => void) | null;
  erase: (() => void) | null;
  busy: boolean;
}

function Row({ entry, address, download, open, rename, erase, busy }: RowProps): JSX.Element {
  const modified = entry.modified === undefined ? null : new Date(entry.modified * 1000).toISOString();
  const about = <span class="unseen"> {entry.name}</span>;
  const folder = entry.type === "directory" && entry.kind !== "symlink";
  return (
    <li class="item">
      <div>
        {folder ? (
          <a class="name" href={address}>
            {entry.name}/
          </a>
        ) : entry.kind === "special" ? (
          <span class="name">{entry.name}</span>
        ) : (
          <button type="button" class="name link" onClick={open}>
            {entry.name}
          </button>
        )}
        {entry.kind !== undefined && <span class="mark">{entry.kind === "symlink" ? "link" : "special"}</span>}
        <p>
          {!folder && entry.size !== undefined && `${sessions.size(entry.size)}, `}
          {modified !== null && <time title={full(modified)}>{ago(modified)}</time>}
        </p>
      </div>
      <div class="choice">
        {entry.kind !== "special" && (
          <a class="button" href={download} download>
            Download{about}
          </a>
        )}
        {rename !== null && (
          <button type="button" class="quiet" aria-haspopup="dialog" onClick={rename}>
            Rename{about}
          </button>
        )}
        {erase !== null && (
          <Confirm
            label="Delete"
            about={entry.name}
            question={folder ? "Delete it with all that is in it?" : "Delete it?"}
            yes="Delete it"
            busy={busy}
            act={erase}
          />
        )}
      </div>
    </li>
  );
}

interface NameProps {
  title: string;
  value: string;
  busy: boolean;
  problem: string | null;
  onClose: () => void;
  onName: (name: string) => void;
}

function NameDialog({ title, value, busy, problem, onClose, onName }: NameProps): JSX.Element {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    onName(String(new FormData(event.currentTarget as HTMLFormElement).get("name")));
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={submit}>
        <label>
          Name
          <input
            name="name"
            required
            maxLength={255}
            defaultValue={value}
            autocomplete="off"
            autocapitalize="none"
            spellcheck={false}
            autofocus
            onFocus={(event) => event.currentTarget.select()}
          />
        </label>
        <Problem text={problem} />
        <button type="submit" disabled={busy}>
          {value === "" ? "Make it" : "Rename"}
        </button>
      </form>
    </Dialog>
  );
}
