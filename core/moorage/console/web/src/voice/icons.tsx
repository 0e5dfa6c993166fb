// Drawings of what voice's buttons do; their names are beside them, for those who do not see.
import type { JSX } from "preact";

const drawn = (path: string): JSX.Element => (
  <svg viewBox="0 0 24 24" width="20" height="20" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
    <path d={path} />
  </svg>
);

export const MICROPHONE = drawn("M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3zM5.500 11a6.500 6.500 0 0 0 13 0M12 17.500V21M8.500 21h7");
export const STOP = drawn("M7 7h10v10H7z");
export const SPEAKER = drawn("M4 9.500v5h3.500L12 18.500v-13L7.500 9.500zM15.500 9a4 4 0 0 1 0 6M18 6.500a8 8 0 0 1 0 11");
