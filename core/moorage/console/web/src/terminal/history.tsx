// What scrolled away in a pane: all rows that tmux still has, searched on the server.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Dialog } from "../dialog";
import { Problem, words } from "../forms";
import { FindBar, useFind } from "./history-find";
import { Past } from "./past";
import { Rows } from "./history-rows";
import { toClipboard } from "./screen";
import "./history.css";

const MOST_COPIED = 50_000;

interface HistoryProps {
  mount: string;
  session: string;
  pane: string;
  onClose: () => void;
}

export default function History({ mount, session, pane, onClose }: HistoryProps): JSX.Element {
  const [past] = useState(() => new Past(mount, session, pane));
  const [rows, setRows] = useState<{ count: number } | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [copied, setCopied] = useState<string | null>(null);
  const box = useRef<HTMLDivElement>(null);
  const input = useRef<HTMLInputElement>(null);
  const attempt = async (work: () => Promise<void>) => {
    try {
      await work();
      setProblem(null);
    } catch (error) {
      setProblem(words(error));
    }
  };
  const find = useFind(past, input, attempt);
  const newest = () => attempt(async () => setRows({ count: await past.newest() }));
  useEffect(() => {
    box.current?.focus();
    void newest();
  }, []);

  const copy = async () => {
    const selected = String(getSelection() ?? "");
    setCopied(selected === "" ? "Fetching…" : null);
    await attempt(async () => {
      const done = await toClipboard(selected === "" ? await past.text(MOST_COPIED) : selected);
      const what = selected === "" ? "Everything was copied." : "The selection was copied.";
      setCopied(done ? what : "Your browser does not let this page copy. Select rows and press Ctrl+C.");
    });
  };
  const pressed = (event: KeyboardEvent) => {
    const typing = event.target instanceof HTMLInputElement;
    if ((event.key === "/" && !typing) || (event.key === "f" && (event.ctrlKey || event.metaKey))) {
      input.current?.focus();
      input.current?.select();
    } else if (event.key === "F3") find.move(event.shiftKey ? -1 : 1);
    else if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    else if (event.key === "n") find.move(1);
    else if (event.key === "N") find.move(-1);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog title={`History of ${session}`} kind="past" onClose={onClose}>
      <div class="body" onKeyDown={pressed}>
        <FindBar find={find} input={input}>
          <button type="button" class="quiet" title="The selection, or everything" onClick={() => void copy()}>
            Copy
          </button>
          <button type="button" class="quiet" title="Go to the end, with what came since" onClick={() => void newest()}>
            Newest
          </button>
        </FindBar>
        <Problem text={problem} />
        {copied !== null && (
          <p class="hint" role="status">
            {copied}
          </p>
        )}
        <Rows past={past} rows={rows} box={box} label={`Rows of ${session}`} found={find.found} chosen={find.chosen} attempt={attempt} />
      </div>
    </Dialog>
  );
}
