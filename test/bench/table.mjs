/** From measured runs to the one table of the bench. */

/** The middle value; null when no run has the figure. */
export function median(values) {
  const sorted = values.filter((value) => typeof value === 'number').sort((a, b) => a - b);
  return sorted.length === 0 ? null : sorted[Math.floor((sorted.length - 1) / 2)];
}

const FIGURES = [
  'recordsPerSecond',
  'cpuMicrosPerRecord',
  'secondHalfCpuMicrosPerRecord',
  'secondHalfRecordsPerSecond',
  'peakMegabytes',
  'medianMs',
  'p99Ms',
  'rowsPerSecond',
  'idleCpuPercent',
];

/** What is compared, by workload. */
function yardstickOf(workload) {
  if (workload.startsWith('l')) return 'medianMs';
  if (workload.startsWith('restore')) return 'rowsPerSecond';
  return workload === 'idle' ? 'idleCpuPercent' : 'secondHalfCpuMicrosPerRecord';
}

/**
 * One row per workload and peer: the median of its runs, and how often the reference peer's figure
 * holds the peer's own (2 = half of the reference's CPU, half of its latency, twice its rows a second).
 */
export function summarize(runs, reference) {
  const rows = new Map();
  for (const run of runs) {
    const key = `${run.workload} ${run.peer}`;
    if (!rows.has(key)) rows.set(key, { workload: run.workload, peer: run.peer, runs: [] });
    rows.get(key).runs.push(run);
  }
  const summary = [...rows.values()].map(({ workload, peer, runs: its }) => {
    const row = { workload, peer, runs: its.length, right: its.filter((run) => run.right).length };
    for (const name of FIGURES) row[name] = median(its.filter((r) => r.right).map((r) => r[name]));
    return row;
  });
  for (const row of summary) {
    const yardstick = summary.find((r) => r.workload === row.workload && r.peer === reference);
    const figure = yardstickOf(row.workload);
    const [own, its] = [row[figure], yardstick?.[figure] ?? null];
    if (!own || !its) row.ratio = null;
    // Of a rate more is better.
    else row.ratio = figure === 'rowsPerSecond' ? own / its : its / own;
  }
  return summary;
}

const show = (value, digits) =>
  value === null || value === undefined
    ? '-'
    : value.toLocaleString('en-US', {
        minimumFractionDigits: digits,
        maximumFractionDigits: digits,
      });

export function markdown(summary, reference) {
  const head = [
    'workload',
    'peer',
    'records/s',
    'CPU us/record, all',
    'CPU us/record, second half',
    'median ms',
    'p99 ms',
    'rows/s restored',
    'idle CPU %',
    `${reference} costs`,
    'outputs exact',
  ];
  const rows = summary.map((row) => [
    row.workload,
    row.peer,
    show(row.recordsPerSecond, 0),
    show(row.cpuMicrosPerRecord, 2),
    show(row.secondHalfCpuMicrosPerRecord, 2),
    show(row.medianMs, 0),
    show(row.p99Ms, 0),
    show(row.rowsPerSecond, 0),
    show(row.idleCpuPercent, 2),
    row.ratio === null ? '-' : `${show(row.ratio, 1)} x`,
    `${row.right} of ${row.runs} runs`,
  ]);
  const width = head.map((title, i) => Math.max(title.length, ...rows.map((r) => r[i].length)));
  const line = (cells) =>
    `| ${cells.map((cell, i) => (i < 2 ? cell.padEnd(width[i]) : cell.padStart(width[i]))).join(' | ')} |`;
  const rule = `|${width.map((w, i) => (i < 2 ? '-'.repeat(w + 2) : `${'-'.repeat(w + 1)}:`)).join('|')}|`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}
