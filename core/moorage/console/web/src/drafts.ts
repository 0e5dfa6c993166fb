// What was typed and is not sent yet, kept over a reload of the tab: for whoever typed it, and for nobody who signs in after.
const MINE = "moorage-chat-";
const OWNER = "moorage-drafts-of";

export const kept = (draft: string): string => sessionStorage.getItem(MINE + draft) ?? "";

export function keep(draft: string, text: string): void {
  if (text === "") sessionStorage.removeItem(MINE + draft);
  else sessionStorage.setItem(MINE + draft, text);
}

/** Nobody's any more: who typed it has signed out. */
export function dropDrafts(): void {
  try {
    for (const key of Object.keys(sessionStorage)) if (key.startsWith(MINE)) sessionStorage.removeItem(key);
  } catch {
    // Nothing can be stored, so nothing was.
  }
}

/** `user` is signed in here; drafts of somebody before, whose login was ended, are dropped. */
export function draftsOf(user: string): void {
  try {
    if (sessionStorage.getItem(OWNER) === user) return;
    dropDrafts();
    sessionStorage.setItem(OWNER, user);
  } catch {
    // As above.
  }
}
