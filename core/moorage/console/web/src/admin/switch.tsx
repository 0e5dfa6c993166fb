// Switching a plugin on or off and reloading the configuration: what is asked before, and what is told after.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Task } from "../forms";
import { Question } from "./ask";
import * as plugins from "./pluginstates";
import type { Detail, Report } from "./pluginstates";

interface TurnProps {
  plugin: Detail;
  task: Task;
  act: () => void;
  onClose: () => void;
}

export function TurnOff({ plugin, task, act, onClose }: TurnProps): JSX.Element {
  return (
    <Question title={`Switch off ${plugin.name}?`} yes="Switch off" doing="Switching off…" task={task} act={act} onClose={onClose}>
      <div class="closing">
        <p>It answers nobody any more until somebody switches it on again. What it has stored stays.</p>
        <ul>
          <li>{plugin.in_use.connections === 0 ? "Nobody has anything of it open now." : `${plugins.held(plugin.in_use)} will be closed at once.`}</li>
          {plugin.needed_by.length > 0 && <li>These plugins need it, and stop as well: {plugin.needed_by.join(", ")}.</li>}
          {plugin.required && <li>The configuration calls it required: without it, the server would not start.</li>}
        </ul>
        <p class="hint">The configuration file is changed, so it stays off after a restart.</p>
      </div>
    </Question>
  );
}

export function TurnOn({ plugin, task, act, onClose }: TurnProps): JSX.Element {
  return (
    <Question harmless title={`Switch on ${plugin.name}?`} yes="Switch on" doing="Switching on…" task={task} act={act} onClose={onClose}>
      <div class="closing">
        <p>It starts now, with the settings of the configuration file, for everybody whose role allows it.</p>
        {plugin.requires.length > 0 && <p>It needs: {plugin.requires.join(", ")}.</p>}
        <p class="hint">The configuration file is changed, so it stays on after a restart.</p>
      </div>
    </Question>
  );
}

export function Reload({ task, act, onClose }: Omit<TurnProps, "plugin">): JSX.Element {
  return (
    <Question harmless title="Reload the configuration?" yes="Reload" doing="Reloading…" task={task} act={act} onClose={onClose}>
      <div class="closing">
        <p>The configuration file is read again. Plugins whose settings changed are started anew: what is open of them closes and comes back.</p>
        <p>Plugins that did not start are tried again. The others go on undisturbed.</p>
      </div>
    </Question>
  );
}

/** What a reload did. It takes the focus when it appears: the button that began it may be gone. */
export function Told({ report }: { report: Report }): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => place.current?.focus(), [report]);
  const lines: [string, string[]][] = [
    ["Switched on", report.added],
    ["Switched off", report.removed],
    ["Started anew", report.changed],
    ["Waits for a restart of the server", report.needs_restart],
  ];
  const failed = Object.entries(report.failed);
  const done = lines.filter(([, names]) => names.length > 0);
  return (
    <div class="notice told" ref={place} tabIndex={-1} role="status">
      {done.length === 0 && failed.length === 0 && <p>Nothing had changed.</p>}
      {done.map(([text, names]) => (
        <p key={text}>
          {text}: {names.join(", ")}.
        </p>
      ))}
      {failed.map(([name, reason]) => (
        <p key={name} class="problem">
          Not well: <a href={plugins.pageOf(name)}>{name}</a> ({reason})
        </p>
      ))}
    </div>
  );
}

/** Settings that were changed in the file and wait for a restart. */
export function Waiting({ keys }: { keys: string[] }): JSX.Element | null {
  if (keys.length === 0) return null;
  return (
    <p class="warning">
      These settings were changed, and hold from the next start of the server on: <code>{keys.join(", ")}</code>
    </p>
  );
}

/** A dialog that is open, or none; closed, it forgets what went wrong in it. */
export function useOpen<T>(task: Task): [T | null, (what: T) => void, () => void] {
  const [open, setOpen] = useState<T | null>(null);
  const close = () => {
    setOpen(null);
    task.setProblem(null);
  };
  return [open, setOpen, close];
}
