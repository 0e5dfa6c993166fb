// Beginning something new from elsewhere: an address with `?new` opens the dialog that the page has for it.
import { useEffect } from "preact/hooks";
import { go, useQuery } from "./router";

export const BEGIN = "?new";

/** Call `begin` where the address asks for it and one may; the address forgets it, so that Back and a reload do not ask again. */
export function useBegin(may: boolean, begin: () => void): void {
  const query = useQuery();
  const asked = query.has("new");
  useEffect(() => {
    if (!asked) return;
    query.delete("new");
    const rest = String(query);
    go(location.pathname + (rest === "" ? "" : `?${rest}`), true);
    if (may) begin();
  }, [asked]);
}
