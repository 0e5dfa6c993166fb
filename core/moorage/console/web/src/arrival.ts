// What the address brought along: taken out of it where it must not stay.
import { refusalOf } from "./refusals";

export interface Arrival {
  /** The one-time token of the first start. */
  setup: string | null;
  /** Why a login at a provider failed, in words. */
  refusal: string | null;
}

export function arrive(): Arrival {
  const query = new URLSearchParams(location.search);
  const setup = new URLSearchParams(location.hash.slice(1)).get("setup");
  const error = query.get("error");
  const invite = location.pathname === "/" ? query.get("invite") : null;
  query.delete("error");
  if (invite !== null) query.delete("invite");
  if (setup !== null || error !== null || invite) {
    // The setup token is worth an owner's account: out of the address bar and the history at once.
    const path = invite ? `/invite/${encodeURIComponent(invite)}` : location.pathname;
    const rest = query.toString();
    history.replaceState(null, "", path + (rest && `?${rest}`) + (setup === null ? location.hash : ""));
  }
  return { setup, refusal: error === null ? null : refusalOf(error) };
}
