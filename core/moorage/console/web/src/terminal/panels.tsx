// Dialogs that lie over a terminal: its history, its keys, its name and end.
import type { JSX } from "preact";
import { lazy, Suspense } from "preact/compat";
import { Dialog } from "../dialog";
import { ManageTerminal } from "../terminals/dialogs";
import type { Panel } from "./actions";
import type { Command } from "./commands";
import { Help } from "./help";
import type { State } from "./shared";

const History = lazy(() => import("./history"));

interface PanelsProps {
  panel: Panel | null;
  mount: string;
  state: State;
  pane: string | undefined;
  commands: Command[];
  refresh: () => Promise<void>;
  onClose: () => void;
}

export function Panels({ panel, mount, state, pane, commands, refresh, onClose }: PanelsProps): JSX.Element | null {
  const { name } = state;
  if (panel === "help") return <Help commands={commands} onClose={onClose} />;
  if (panel === "history" && pane !== undefined) {
    const loading = (
      <Dialog title={`History of ${name}`} onClose={onClose}>
        <p>Loading…</p>
      </Dialog>
    );
    return (
      <Suspense fallback={loading}>
        <History mount={mount} session={name} pane={pane} onClose={onClose} />
      </Suspense>
    );
  }
  if (panel !== "manage") return null;
  const session = { id: name, name, windows: state.windows.length, created: "", attached: false, claim: state.claim };
  return (
    <ManageTerminal mount={mount} session={session} permissions={[...state.permissions]} refresh={refresh} onClose={onClose} />
  );
}
