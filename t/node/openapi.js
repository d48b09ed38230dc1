// openapi.js DOCUMENT EXCHANGES - holds an OpenAPI document against what a
// server really answered: one JSON object a line, as t/openapi.t writes it.
// What does not fit is printed as one JSON object of lists, empty if all is
// well:
//
//   problems  what the linter finds in the document
//   faults    answers that are not as the document has them
//   unseen    documented answers that never came
//   unsaid    fixed texts of errors that nobody was told
//   patterns  paths and methods of the document, for who knows the routes
//   orders    what may be asked of each scenario
//   version   of the API, as the document has it

import { readFileSync } from 'node:fs';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { parse } from 'yaml';

const [documentFile, exchangesFile] = process.argv.slice(2);
const text = readFileSync(documentFile, 'utf8');
const api = parse(text);
const exchanges = readFileSync(exchangesFile, 'utf8').trim().split('\n')
    .map((line) => JSON.parse(line));

// What HTTP itself needs, and no API document describes.
const FRAMING = new Set(['connection', 'content-length', 'content-type',
    'date', 'keep-alive', 'server']);
const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

// ---- the document as such

async function lint() {
    const config = await createConfig({
        extends: ['recommended-strict'],
        rules: {
            'info-license': 'off',
            // There are routes at which a client can do nothing wrong.
            'operation-4xx-response': 'off',
            // The one server that everybody can reach is their own.
            'no-server-example.com': 'off',
            // What is shared with x-everywhere is used where it cannot see.
            'no-unused-components': 'off',
            'no-invalid-media-type-examples': 'error',
            'no-invalid-schema-examples': 'error',
        },
    });
    const problems = await lintFromString({
        source: text, absoluteRef: documentFile, config,
    });
    return problems.map((problem) => `${problem.ruleId}: ${problem.message} `
        + `at ${problem.location[0]?.pointer}`);
}

// ---- where things are in it

const ajv = new Ajv({
    allErrors: true, strict: true, strictTypes: false, strictRequired: false,
});
addFormats(ajv);
// The document is no schema, it only holds some.
ajv.addVocabulary(Object.keys(api));
ajv.addSchema(api, 'api', false, false);

const step = (name) => name.replaceAll('~', '~0').replaceAll('/', '~1');
const pointer = (...names) => `#/${names.map(step).join('/')}`;

function at(ref) {
    return ref.slice(2).split('/').reduce((node, name) =>
        node?.[name.replaceAll('~1', '/').replaceAll('~0', '~')], api);
}

// Follows $ref: where the thing itself stands, and the thing.
function find(ref) {
    const node = at(ref);
    return node?.$ref ? find(node.$ref) : { ref, node };
}

// Every documented answer, by the name under which exchanges come.
function documented() {
    const answers = new Map();
    const add = (name, responses) => {
        for (const status of Object.keys(at(responses))) {
            answers.set(`${name} ${status}`, `${responses}/${status}`);
        }
    };

    for (const [path, item] of Object.entries(api.paths)) {
        for (const method of METHODS.filter((name) => item[name])) {
            add(`${method.toUpperCase()} ${path}`,
                pointer('paths', path, method, 'responses'));
        }
    }
    for (const name of Object.keys(api['x-everywhere'])) {
        add(name, pointer('x-everywhere', name, 'responses'));
    }
    return answers;
}

// ---- one exchange

function validate(ref, value) {
    const check = ajv.getSchema(`api${ref}`);

    return check(value) ? [] : check.errors.map((error) =>
        `${error.instancePath || 'it'} ${error.message} `
        + JSON.stringify(error.params));
}

function checkHeaders(response, got) {
    const faults = [];
    const known = new Set();

    for (const name of Object.keys(response.node.headers ?? {})) {
        const { ref, node } = find(`${response.ref}/headers/${step(name)}`);
        const values = got[name.toLowerCase()] ?? [];

        known.add(name.toLowerCase());
        if (values.length > 1 || (node.required && values.length === 0)) {
            faults.push(`${name} came ${values.length} times`);
        }
        for (const value of values) {
            faults.push(...validate(`${ref}/schema`, value)
                .map((fault) => `${name}: ${fault}`));
        }
    }
    for (const name of Object.keys(got)) {
        if (!known.has(name) && !FRAMING.has(name)) {
            faults.push(`${name} is not documented`);
        }
    }
    return faults;
}

function checkBody(response, { method, headers, body }) {
    const types = Object.keys(response.node.content ?? {});
    const type = headers['content-type']?.[0];

    if (types.length === 0) {
        return body === '' && !type ? [] : ['it has a body'];
    }
    const media = types.find((name) => type?.startsWith(`${name};`));
    if (!media || !type.endsWith('; charset=utf-8')) {
        return [`its type is ${type}`];
    }
    if (method === 'HEAD') {
        return body === '' ? [] : ['HEAD has a body'];
    }
    if (Number(headers['content-length']) !== Buffer.byteLength(body)) {
        return ['Content-Length'];
    }
    return validate(`${response.ref}/content/${step(media)}/schema`,
        media === 'application/json' ? JSON.parse(body) : body);
}

// What was taken must be what may be sent.
function checkRequest(exchange) {
    const { path, method, status, sent } = exchange;
    const content = path && api.paths[path]?.[method.toLowerCase()]
        ?.requestBody?.content;

    if (!sent || status >= 300) {
        return [];
    }
    const media = sent.type.split(';')[0];
    if (!content?.[media]) {
        return [`a body of ${media} was taken`];
    }
    return validate(pointer('paths', path, method.toLowerCase(),
        'requestBody', 'content', media, 'schema'),
    media === 'application/json' ? JSON.parse(sent.body)
        : Object.fromEntries(new URLSearchParams(sent.body)))
        .map((fault) => `the request: ${fault}`);
}

// ---- all of it

// The fixed texts that a response's `error` may have.
function fixedTexts(node, isError = false, seen = new Set()) {
    if (node === null || typeof node !== 'object' || seen.has(node)) {
        return [];
    }
    seen.add(node);
    return [
        ...node.$ref ? fixedTexts(at(node.$ref), isError, seen) : [],
        ...isError ? [node.const ?? [], node.enum ?? []].flat() : [],
        ...Object.entries(node).flatMap(([name, value]) =>
            fixedTexts(value, isError || name === 'error', seen)),
    ];
}

const answers = documented();
const faults = [];
const seen = new Set();
const said = new Set();

for (const exchange of exchanges) {
    const { everywhere, path, method, status } = exchange;
    // HEAD is answered as GET is.
    const name = everywhere ?? `${method.replace('HEAD', 'GET')} ${path}`;
    const ref = answers.get(`${name} ${status}`);
    const response = ref && find(ref);
    const found = response
        ? [...checkHeaders(response, exchange.headers),
            ...checkBody(response, exchange), ...checkRequest(exchange)]
        : ['it is not documented'];

    seen.add(`${everywhere ?? `${method} ${path}`} ${status}`);
    if (exchange.headers['content-type']?.[0].startsWith('application/json')
        && exchange.body) {
        said.add(JSON.parse(exchange.body).error);
    }
    faults.push(...found.map((fault) => `${name} ${status}: ${fault}`));
}

const heads = Object.entries(api.paths).filter(([, item]) => item.get)
    .map(([path]) => `HEAD ${path} 200`);
const texts = [...answers.values()].flatMap((ref) => fixedTexts(at(ref)));

console.log(JSON.stringify({
    version: api.info.version,
    problems: await lint(),
    faults: [...new Set(faults)],
    unseen: [...answers.keys(), ...heads].filter((name) => !seen.has(name)),
    unsaid: [...new Set(texts)].filter((text) => !said.has(text)),
    patterns: Object.fromEntries(Object.entries(api.paths).map(
        ([path, item]) => [path, METHODS.filter((name) => item[name])
            .map((name) => name.toUpperCase())])),
    orders: Object.fromEntries(Object.keys(api.paths)
        .filter((path) => api.paths[path].delete && path.includes('/chaos/'))
        .map((path) => [path.split('/').pop(), parameters(path)])),
}));

// The parameters of a scenario, in the words of the catalogue.
function parameters(path) {
    const media = pointer('paths', path, 'post', 'requestBody', 'content',
        'application/json', 'schema');
    const { properties } = find(media).node;

    return Object.fromEntries(Object.keys(properties).map((name) => {
        const { node } = find(`${find(media).ref}/properties/${name}`);
        const { type, minimum, maximum, enum: values } = node;
        return [name, {
            type, default: node.default ?? null,
            ...type === 'integer' && { min: minimum, max: maximum },
            ...values && { values },
        }];
    }));
}
