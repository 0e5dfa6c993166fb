// A button that copies a text, and says whether it could.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import "./copy.css";

const SHOWN_FOR = 2_000;

export function Copy({ text, about, children }: { text: string; about: string; children: ComponentChildren }): JSX.Element {
  const [said, setSaid] = useState<string | null>(null);
  useEffect(() => {
    if (said === null) return undefined;
    const timer = setTimeout(() => setSaid(null), SHOWN_FOR);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async () => setSaid((await copied(text)) ? "Copied" : "Could not copy");
  return (
    <button type="button" class="quiet copy" onClick={() => void copy()}>
      <span aria-hidden={said !== null} class={said === null ? undefined : "under"}>
        {children}
        <span class="unseen"> {about}</span>
      </span>
      <span role="status" class="over">
        {said}
      </span>
    </button>
  );
}

/** Without https there is no clipboard for pages, but the older way works. */
async function copied(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const before = document.activeElement;
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "unseen";
    document.body.append(area);
    area.select();
    const good = document.execCommand("copy");
    area.remove();
    if (before instanceof HTMLElement) before.focus();
    return good;
  }
}
