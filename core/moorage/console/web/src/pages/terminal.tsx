// The page of one shared terminal: finds where it is served, and holds its connection.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { PageProps } from "../app";
import { Nothing } from "../shell/nothing";
import { Shared, type State } from "../terminal/shared";
import "../terminal/terminal.css";
import { View } from "../terminal/view";
import * as tmux from "../tmux";

export default function TerminalPage({ session, state, refresh }: PageProps & { session: string }): JSX.Element {
  const present = tmux.mountOf(state);
  // One that is open stays on the screen while its plugin is off, and says so.
  const last = useRef(present);
  if (present !== null) last.current = present;
  const mount = last.current;
  if (mount === null) {
    return (
      <Nothing title="Terminals">
        No terminals are served at this address. <a href="/">Go to the start</a>.
      </Nothing>
    );
  }
  return <Opened session={session} mount={mount} runs={present !== null} state={state} refresh={refresh} />;
}

type Props = PageProps & { session: string; mount: string; runs: boolean };

/** The connection lives as long as one looks at this session; "Connect again" makes a new one. */
function Opened({ session, mount, runs, state, refresh }: Props): JSX.Element | null {
  const [attempt, setAttempt] = useState(0);
  // It may be renamed meanwhile.
  const name = useRef(session);
  const [known, setKnown] = useState<{ shared: Shared; state: State } | null>(null);
  useEffect(() => {
    const shared: Shared = new Shared({
      mount,
      name: name.current,
      me: state.user.id,
      permissions: state.user.permissions,
      onState: (now) => setKnown({ shared, state: now }),
      // In place: the page at the new address is this one.
      onRenamed: (now) => {
        name.current = now;
        history.replaceState(null, "", tmux.pageOf(now));
      },
      onDoubt: () => void refresh(),
    });
    setKnown({ shared, state: shared.state });
    return () => shared.dispose();
  }, [mount, state.user.id, refresh, attempt]);
  useEffect(() => {
    if (runs) known?.shared.hurry();
  }, [runs]);
  if (known === null) return null;
  return <View key={attempt} mount={mount} refresh={refresh} {...known} user={state.user.id} again={() => setAttempt(attempt + 1)} />;
}
