// A table that becomes a list of cards at phone width; screen readers are told of its rows and cells in both.
import type { ComponentChildren, JSX } from "preact";
import "./table.css";

export interface Row {
  key: string;
  /** One for each column; the first names the row. */
  cells: ComponentChildren[];
}

interface TableProps {
  /** What is in it, read out before it. */
  label: string;
  columns: string[];
  rows: Row[];
  /** Places of the columns that hold figures: they are aligned to the right. */
  figures?: number[];
}

export function Table({ label, columns, rows, figures = [] }: TableProps): JSX.Element {
  const kind = (place: number) => (figures.includes(place) ? "figure" : undefined);
  // Drawn as blocks, elements of a table are none to a screen reader any more: the roles say it again.
  return (
    <table class="cardlike" role="table" aria-label={label}>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map((name, place) => (
            <th key={name} role="columnheader" scope="col" class={kind(place)}>
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map(({ key, cells }) => (
          <tr key={key} role="row">
            {cells.map((cell, place) =>
              place === 0 ? (
                <th key={place} role="rowheader" scope="row" class={kind(place)}>
                  {cell}
                </th>
              ) : (
                <td key={place} role="cell" data-label={columns[place]} class={kind(place)}>
                  {cell}
                </td>
              ),
            )}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
