// After the server was updated, a tab that was open before asks for parts of the page that are no more.

/** The script that this document was made of. Its name has a hash of all that it imports. */
const mine = (): string | null => document.querySelector<HTMLScriptElement>('script[type="module"]')?.getAttribute("src") ?? null;

/** Of the versions that this tab left already. */
const LEFT_BEFORE = "moorage.outdated:";

/** True when the server has another page than this one by now; false also when it does not answer. */
export async function isOutdated(): Promise<boolean> {
  const script = mine();
  if (script === null) return false;
  try {
    const answer = await fetch("/console", { cache: "no-cache", headers: { Accept: "text/html" } });
    return answer.ok && !(await answer.text()).includes(`"${script}"`);
  } catch {
    return false;
  }
}

/** Load the page anew. False when this tab left this version before: two servers that differ must not go round. */
export function reloadOnce(): boolean {
  try {
    const left = `${LEFT_BEFORE}${mine() ?? ""}`;
    if (sessionStorage.getItem(left) !== null) return false;
    sessionStorage.setItem(left, "");
  } catch {
    return false;
  }
  location.reload();
  return true;
}
