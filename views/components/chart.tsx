import type { SeriesPoint } from "../types.ts";
import { count, exactTime, plural } from "../format.ts";

const WIDTH = 96;
const HEIGHT = 24;

/** A small line of values without axes; `label` says the same in words. */
export function Sparkline({ values, label }: { values: readonly number[]; label: string }) {
  const top = Math.max(...values, 1);
  const step = values.length > 1 ? WIDTH / (values.length - 1) : WIDTH;
  const y = (value: number) => (HEIGHT - 3 - (HEIGHT - 6) * Math.max(0, value) / top).toFixed(1);
  const points = values.length === 1
    ? `0,${y(values[0] ?? 0)} ${WIDTH},${y(values[0] ?? 0)}`
    : values.map((value, i) => `${(i * step).toFixed(1)},${y(value)}`).join(" ");
  return (
    <svg
      class="sparkline"
      width={WIDTH}
      height={HEIGHT}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      role="img"
      aria-label={`${label}: ${values.map(count).join(", ")}`}
    >
      <polyline points={points} />
    </svg>
  );
}

const CHART_HEIGHT = 150;

function Bar({ point, index, step, top }: { point: SeriesPoint; index: number; step: number; top: number }) {
  const tall = (value: number) => Math.max(value > 0 ? 2 : 0, CHART_HEIGHT * value / top);
  const calls = tall(point.calls);
  const errors = tall(Math.min(point.errors, point.calls));
  const x = `${(index * step + step * 0.17).toFixed(3)}%`;
  const width = `${(step * 0.66).toFixed(3)}%`;
  return (
    <g>
      <title>
        {`${exactTime(Date.parse(point.start))}: ${plural(point.calls, "call")}, ${
          plural(point.errors, "error")
        }`}
      </title>
      <rect
        class="bar-calls"
        x={x}
        width={width}
        y={(CHART_HEIGHT - calls).toFixed(1)}
        height={calls.toFixed(1)}
        rx="2"
      />
      {errors > 0 && (
        <rect
          class="bar-errors"
          x={x}
          width={width}
          y={(CHART_HEIGHT - errors).toFixed(1)}
          height={errors.toFixed(1)}
          rx="2"
        />
      )}
    </g>
  );
}

function clock(iso: string): string {
  const text = exactTime(Date.parse(iso));
  return `${text.slice(5, 10)} ${text.slice(11, 16)}`;
}

/** Calls and errors by interval as bars, with the same said in a sentence for those who do not see them. */
export function BarChart({ series }: { series: readonly SeriesPoint[] }) {
  const top = Math.max(...series.map((point) => point.calls), 1);
  const calls = series.reduce((sum, point) => sum + point.calls, 0);
  const errors = series.reduce((sum, point) => sum + point.errors, 0);
  const busiest = series.find((point) => point.calls === top);
  const first = series[0];
  const last = series.at(-1);
  const step = 100 / Math.max(series.length, 1);
  const words = `${count(calls)} calls and ${count(errors)} errors in ${series.length} intervals` +
    (busiest
      ? `; the busiest began ${exactTime(Date.parse(busiest.start))} with ${count(busiest.calls)} calls`
      : "");
  return (
    <figure class="chart">
      <svg width="100%" height={CHART_HEIGHT + 1} role="img" aria-label={words}>
        {series.map((point, index) => <Bar key={index} point={point} index={index} step={step} top={top} />)}
        <line class="bar-base" x1="0" x2="100%" y1={CHART_HEIGHT + 0.5} y2={CHART_HEIGHT + 0.5} />
      </svg>
      <figcaption class="chart-axis" aria-hidden="true">
        <span>{first ? clock(first.start) : ""}</span>
        <span>{`highest ${count(top)}`}</span>
        <span>{last ? `${clock(last.start)} UTC` : ""}</span>
      </figcaption>
    </figure>
  );
}

/** The key to the bars' colours, for the head of their card. */
export function ChartKey() {
  return (
    <span class="chart-key">
      <span class="key-calls">calls</span>
      <span class="key-errors">errors</span>
    </span>
  );
}
