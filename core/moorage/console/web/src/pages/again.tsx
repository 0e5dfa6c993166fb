// Over a page whose login ended by itself or from elsewhere: sign in again, and go on with what was typed.
import type { JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { State } from "../api";
import { Login } from "./login";

interface AgainProps {
  state: State;
  name: string;
  done: () => Promise<void>;
}

export function LoginAgain({ state, name, done }: AgainProps): JSX.Element {
  const element = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const dialog = element.current;
    const before = document.activeElement;
    const title = document.title;
    dialog?.showModal();
    return () => {
      dialog?.close();
      document.title = title;
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={element}
      class="again"
      aria-label="Sign in"
      onCancel={(event) => event.preventDefault()}
      // Browsers close it at the second Escape whatever one says; there is nothing behind it for who is signed out.
      onClose={() => {
        const dialog = element.current;
        if (!dialog?.isConnected) return;
        dialog.showModal();
        dialog.querySelector<HTMLInputElement>("input[type=password]")?.focus();
      }}
    >
      <Login state={state} refusal={null} again={name} done={done} />
    </dialog>
  );
}
