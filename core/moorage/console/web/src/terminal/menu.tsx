// The menu of commands: with the mouse, with arrow keys, or with the letter beside each.
import type { JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { Command } from "./commands";

interface MenuProps {
  commands: Command[];
  open: boolean;
  onOpen: (open: boolean) => void;
  /** It closed and nothing else took the focus. */
  onLeave: () => void;
}

export function Menu({ commands, open, onOpen, onLeave }: MenuProps): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const now = useRef<(event: KeyboardEvent) => void>(() => undefined);
  // At once: the next key is for the menu already.
  useLayoutEffect(() => {
    if (!open) return;
    list.current?.querySelector<HTMLElement>("button")?.focus();
    const outside = (event: PointerEvent) => {
      if (!box.current?.contains(event.target as Node)) onOpen(false);
    };
    // Wherever the focus is: a key that is meant for the menu must not reach the program.
    const key = (event: KeyboardEvent) => now.current(event);
    document.addEventListener("pointerdown", outside, true);
    window.addEventListener("keydown", key, true);
    return () => {
      document.removeEventListener("pointerdown", outside, true);
      window.removeEventListener("keydown", key, true);
    };
  }, [open]);
  const leave = () => {
    onOpen(false);
    onLeave();
  };
  const run = (command: Command) => {
    if (!command.stays) leave();
    command.run();
  };
  const press = (event: KeyboardEvent) => {
    const items = [...(list.current?.querySelectorAll<HTMLElement>("button") ?? [])];
    const here = items.indexOf(document.activeElement as HTMLElement);
    const modified = event.ctrlKey || event.altKey || event.metaKey;
    if (here >= 0 && (modified || event.key === "Enter" || event.key === " ")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const last = items.length - 1;
    const to = { ArrowDown: here === last ? 0 : here + 1, ArrowUp: here <= 0 ? last : here - 1, Home: 0, End: last }[event.key];
    const command = modified ? undefined : commands.find(({ key }) => key === event.key);
    if (event.key === "Escape") leave();
    else if (event.key === "Tab") {
      // The way out of a terminal that takes every key: to the buttons beside this one.
      onOpen(false);
      button.current?.focus();
    }
    else if (to !== undefined) items[to]?.focus();
    else if (command) run(command);
  };
  now.current = press;
  const groups = [...new Set(commands.map(({ group }) => group))];
  return (
    <div class="menu" ref={box}>
      <button
        ref={button}
        type="button"
        class="quiet small"
        aria-haspopup="menu"
        aria-expanded={open}
        aria-controls="terminal-menu"
        title="Commands (Ctrl+Shift+B)"
        onClick={() => onOpen(!open)}
      >
        Menu
      </button>
      {open && (
        <div class="list" id="terminal-menu" role="menu" aria-label="Commands" ref={list}>
          {groups.map((group) => (
            <div role="group" aria-label={group} key={group}>
              <p aria-hidden="true">{group}</p>
              {commands
                .filter((command) => command.group === group)
                .map((command) => (
                  <button
                    key={command.id}
                    type="button"
                    tabIndex={-1}
                    role={command.checked === undefined ? "menuitem" : "menuitemcheckbox"}
                    {...(command.checked === undefined ? {} : { "aria-checked": command.checked })}
                    onClick={() => run(command)}
                  >
                    <span>{command.label}</span>
                    <kbd>{command.key}</kbd>
                  </button>
                ))}
            </div>
          ))}
        </div>
      )}
    </div>
  );
}
