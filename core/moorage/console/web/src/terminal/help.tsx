// The keys of the terminal page.
import type { JSX } from "preact";
import { Dialog } from "../dialog";
import type { Command } from "./commands";

const ALWAYS: [string, string][] = [
  ["Enter", "take control, where nobody has it"],
  ["Ctrl+Shift+Enter", "take control and give it back"],
  ["Ctrl+Shift+B", "open the menu; then one of the keys below"],
  ["Ctrl+Shift+B, Tab", "leave the terminal for the buttons of the page"],
  ["Ctrl+Shift+F", "find in what was shown"],
  ["Ctrl+Shift+C", "copy what is selected (Shift while dragging selects where a program takes the mouse)"],
  ["Ctrl+Shift+V", "paste"],
  ["Ctrl+click", "open a link"],
];

export function Help({ commands, onClose }: { commands: Command[]; onClose: () => void }): JSX.Element {
  return (
    <Dialog title="Keys" kind="help" onClose={onClose}>
      <Keys rows={ALWAYS} />
      <h3>In the menu, as after tmux's own Ctrl+B</h3>
      <Keys rows={commands.map((command) => [command.key, command.label])} />
      <p class="hint">
        While you do not type, the menu opens with <kbd>m</kbd> and this help with <kbd>?</kbd> as well. All other keys are the
        program's.
      </p>
    </Dialog>
  );
}

function Keys({ rows }: { rows: [string, string][] }): JSX.Element {
  return (
    <dl class="keylist">
      {rows.map(([key, what]) => (
        <div key={key}>
          <dt>
            <kbd>{key}</kbd>
          </dt>
          <dd>{what}</dd>
        </div>
      ))}
    </dl>
  );
}
