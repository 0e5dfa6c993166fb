// Above the terminal: which one it is, who types, who is here, and what can be done.
import type { JSX } from "preact";
import { LIST } from "../tmux";
import type { Actions, Command, Offers } from "./commands";
import { Buttons, Lease, Mode, Recorded } from "./control";
import { Menu } from "./menu";
import { People } from "./people";
import type { State } from "./shared";

interface BarProps {
  state: State;
  user: string;
  mine: boolean;
  typing: boolean;
  may: Offers;
  actions: Actions;
  commands: Command[];
  menu: boolean;
  onMenu: (open: boolean) => void;
  onLeave: () => void;
}

export function Bar({ state, user, mine, typing, may, actions, commands, menu, onMenu, onLeave }: BarProps): JSX.Element {
  return (
    <div class="bar">
      <a class="back" href={LIST} title="All terminals">
        ‹<span class="unseen"> All terminals</span>
      </a>
      <h1>{state.name}</h1>
      <Mode claim={state.claim} mine={mine} typing={typing} ended={state.ended !== null} />
      {mine && state.claim && <Lease expiresAt={state.claim.expiresAt} onKeep={actions.take} />}
      {state.recording && <Recorded recording={state.recording} onStop={may.record ? () => actions.record(false) : null} />}
      <div class="tools">
        <People people={state.people} me={user} holder={state.claim?.userId ?? null} mayHand={mine} onHand={actions.handOver} />
        {state.ended === null && !state.off && <Buttons mine={mine} may={may} actions={actions} />}
        <span class="letters" role="group" aria-label="Size of the letters">
          <button type="button" class="quiet small" title="Smaller letters" onClick={() => actions.letters(-1)}>
            A−
          </button>
          <button type="button" class="quiet small" title="Larger letters" onClick={() => actions.letters(1)}>
            A+
          </button>
        </span>
        <Menu commands={commands} open={menu} onOpen={onMenu} onLeave={onLeave} />
      </div>
    </div>
  );
}
