// Between parts of the account page: the sessions are others than before.
export const CHANGED = "moorage:sessions-changed";
