// alarms.js RESOURCES CASES - computes CloudWatch alarms from logs. RESOURCES
// is a file with a template's resources, resolved (what ecs.js prints); CASES
// one with a list of
//
//   log      file of JSON lines; or none
//   shifts   seconds by which all is moved against the clock's minutes, a list
//   until    the last second that is looked at
//   born     when the alarms are made; 0 if left out
//   series   metrics besides: {"Namespace Name": [[second, value], ...]}
//   sliding  whether longer periods end at any minute, and not only on the clock
//
// Prints for each case, by alarm, a list with an entry for each shift: the
// changes of its state, [second, state] each, as late as they may come. Seconds
// are counted from 2026-01-01, before the shift.

import { readFileSync } from 'node:fs';
import { compile } from './pattern.js';

const EPOCH = Date.UTC(2026, 0, 1) / 1000;
const MINUTE = 60;
// From the end of a period until a metric is there and was looked at.
const DELAY = 2 * MINUTE;
// Periods beyond those asked for that are looked at where some are missing.
const SPARE = 2;

const [resources, cases] = process.argv.slice(2, 4)
    .map((file) => JSON.parse(readFileSync(file, 'utf8')));

function ofType(type) {
    return Object.entries(resources).filter(([, { Type }]) => Type === type)
        .map(([name, { Properties }]) => [name, Properties]);
}

// ---- metrics: "Namespace Name" -> [[second, value], ...]

function readLog(file) {
    return readFileSync(file, 'utf8').trim().split('\n').map((text) => {
        const object = JSON.parse(text);
        return { text, object, at: Date.parse(object.timestamp) / 1000 - EPOCH };
    });
}

const filters = ofType('AWS::Logs::MetricFilter')
    .map(([, { FilterPattern, MetricTransformations: [made] }]) => ({
        isMatch: compile(FilterPattern),
        metric: `${made.MetricNamespace} ${made.MetricName}`,
        value: (object) => (String(made.MetricValue).startsWith('$.')
            ? object[made.MetricValue.slice(2)] : Number(made.MetricValue)),
        byDefault: made.DefaultValue,
    }));

function* filterPoints({ isMatch, value, byDefault }, lines) {
    for (const { text, object, at } of lines) {
        if (isMatch(text, object)) {
            yield [at, Number(value(object))];
        } else if (byDefault !== undefined) {
            yield [at, Number(byDefault), 'default'];
        }
    }
}

function metricsOf(lines, series) {
    const metrics = new Map(Object.entries(series ?? {}));
    const put = (name, point) => {
        metrics.set(name, [...metrics.get(name) ?? [], point]);
    };

    for (const filter of filters) {
        metrics.set(filter.metric, [...filterPoints(filter, lines)]);
    }
    for (const { object, at } of lines.filter((line) => line.object._aws)) {
        for (const set of object._aws.CloudWatchMetrics) {
            for (const { Name } of set.Metrics) {
                put(`${set.Namespace} ${Name}`, [at, object[Name]]);
            }
        }
    }
    return metrics;
}

// ---- by the minute: what a minute has of a metric, or nothing

function minutesOf(points, shift) {
    const minutes = [];

    for (const [at, value, isDefault] of points) {
        const minute = Math.floor((at + shift) / MINUTE);
        const bin = minutes[minute] ??= { count: 0, sum: 0, max: -Infinity };
        if (!isDefault || bin.count === 0) {
            bin.count += isDefault ? 0 : 1;
            bin.sum += value;
            bin.max = Math.max(bin.max, value);
        }
    }
    return minutes;
}

const statistics = {
    Sum: (bins) => bins.reduce((sum, bin) => sum + bin.sum, 0),
    SampleCount: (bins) => bins.reduce((sum, bin) => sum + bin.count, 0),
    Maximum: (bins) => Math.max(...bins.map((bin) => bin.max)),
};

// The value of the period that ends with this minute; undefined: missing.
function valueOf(minutes, statistic, period, end) {
    const bins = (minutes ?? []).slice(Math.max(0, end - period / MINUTE),
        Math.max(0, end)).filter(Boolean);

    return bins.length ? statistics[statistic](bins) : undefined;
}

// ---- alarms

function inputsOf(alarm) {
    if (!alarm.Metrics) {
        return [{ metric: `${alarm.Namespace} ${alarm.MetricName}`,
            statistic: alarm.Statistic, period: Number(alarm.Period) }];
    }
    const { Expression } = alarm.Metrics.find((one) => one.Expression);
    return Expression.split('+').map((term) => {
        const [, id] = term.trim().match(/^FILL\((\w+), 0\)$/);
        const { MetricStat } = alarm.Metrics.find((one) => one.Id === id);
        return { metric: `${MetricStat.Metric.Namespace} `
            + MetricStat.Metric.MetricName, statistic: MetricStat.Stat,
        period: Number(MetricStat.Period), fill: 0 };
    });
}

const isBreaching = {
    GreaterThanOrEqualToThreshold: (value, threshold) => value >= threshold,
    LessThanThreshold: (value, threshold) => value < threshold,
};

// CloudWatch's rule: the newest that there are, if these are enough; else all
// that there are, and what is missing counts as is said.
function judge(alarm, values, state) {
    const wanted = Number(alarm.EvaluationPeriods);
    const needed = Number(alarm.DatapointsToAlarm ?? wanted);
    const there = values.filter((value) => value !== undefined)
        .slice(0, wanted);
    const missing = wanted - there.length;
    const breaching = there.filter((value) => isBreaching[
        alarm.ComparisonOperator](value, Number(alarm.Threshold))).length;
    const treat = alarm.TreatMissingData ?? 'missing';

    if (there.length === 0 && treat === 'missing') {
        return 'INSUFFICIENT_DATA';
    }
    if (there.length === 0 && treat === 'ignore') {
        return state;
    }
    return breaching + (treat === 'breaching' ? missing : 0) >= needed
        ? 'ALARM' : 'OK';
}

function runAlarm(alarm, metrics, { until, born = 0, sliding }, shift) {
    const inputs = inputsOf(alarm).map((input) => ({ ...input,
        minutes: minutesOf(metrics.get(input.metric) ?? [], shift) }));
    const length = inputs[0].period / MINUTE;
    const count = Number(alarm.EvaluationPeriods) + SPARE;
    const changes = [];
    let state = 'INSUFFICIENT_DATA';

    for (let now = Math.ceil((born + shift) / MINUTE);
        now * MINUTE <= until + shift; now++) {
        const last = sliding ? now : Math.floor(now / length) * length;
        const values = Array.from({ length: count }, (_, n) => {
            const parts = inputs.map(({ minutes, statistic, period, fill }) =>
                valueOf(minutes, statistic, period, last - n * length) ?? fill);
            return parts.includes(undefined) ? undefined
                : parts.reduce((sum, part) => sum + part, 0);
        });
        const next = judge(alarm, values, state);
        if (next !== state) {
            changes.push([now * MINUTE - shift + DELAY, next]);
            state = next;
        }
    }
    return changes;
}

console.log(JSON.stringify(cases.map((one) => {
    const metrics = metricsOf(one.log ? readLog(one.log) : [], one.series);

    return Object.fromEntries(ofType('AWS::CloudWatch::Alarm')
        .map(([name, alarm]) => [name, one.shifts.map((shift) =>
            runAlarm(alarm, metrics, one, shift))]));
})));
