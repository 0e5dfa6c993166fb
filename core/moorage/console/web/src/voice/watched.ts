// Something that changes by itself and is shown: components draw anew with each change.
import { useEffect, useReducer } from "preact/hooks";

export class Watched {
  private readonly watchers = new Set<() => void>();

  watch(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  protected changed(): void {
    for (const watcher of [...this.watchers]) watcher();
  }
}

export function useWatched<T extends Watched>(watched: T): T {
  const [, drawn] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    const unwatch = watched.watch(() => drawn(undefined));
    drawn(undefined);
    return () => void unwatch();
  }, [watched]);
  return watched;
}
