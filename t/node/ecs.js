// ecs.js TEMPLATE PARAMETERS LOG - resolves the CloudFormation template with
// parameters (a JSON object of sets of them, by name), and prints a JSON object
// of what came of each set, by name:
//
//   faults     what AWS's own resource types do not have, or have otherwise
//   resources  the template's resources, with all functions resolved
//   matches    for each metric filter the numbers of the log's lines that it
//              matches; LOG is a file of JSON lines

import { readFileSync } from 'node:fs';
import { loadAwsServiceSpecSync } from '@aws-cdk/aws-service-spec';
import { isAlias, isMap, isSeq, parseDocument } from 'yaml';
import { compile } from './pattern.js';

const [templateFile, parametersText, logFile] = process.argv.slice(2);
let faults = [];

// ---- YAML with CloudFormation's short forms: !Ref X is {Ref: X}

const FUNCTIONS = ['Ref', 'GetAtt', 'FindInMap', 'Sub', 'If', 'Equals', 'Not',
    'And', 'Or',
    'Join', 'Select', 'Split'];

// A tag for each kind of node that may bear it.
const customTags = FUNCTIONS.flatMap((name) => [
    { tag: `!${name}`, resolve: (text) => text },
    { tag: `!${name}`, collection: 'seq' },
]);

function plain(node) {
    if (isAlias(node)) {
        faults.push('CloudFormation knows no YAML aliases');
        return null;
    }
    const value = isMap(node)
        ? Object.fromEntries(node.items.map((pair) =>
            [pair.key.value, plain(pair.value)]))
        : isSeq(node) ? node.items.map(plain) : node?.value ?? null;
    const name = node?.tag?.match(/^!(\w+)$/)?.[1];

    return !name ? value
        : { [name === 'Ref' ? name : `Fn::${name}`]: value };
}

function read(file) {
    const document = parseDocument(readFileSync(file, 'utf8'),
        { customTags, version: '1.1' });

    faults.push(...[...document.errors, ...document.warnings]
        .map((error) => error.message));
    return plain(document.contents);
}

const template = read(templateFile);

// ---- functions

const GONE = Symbol('AWS::NoValue');
const pseudo = {
    'AWS::AccountId': '123456789012', 'AWS::Region': 'eu-west-1',
    'AWS::Partition': 'aws', 'AWS::URLSuffix': 'amazonaws.com',
    'AWS::StackName': 'patient', 'AWS::NoValue': GONE,
};
let values = {};

function takeParameters(given) {
    values = { ...pseudo };
    for (const [name, parameter] of Object.entries(template.Parameters)) {
        const value = given[name] ?? parameter.Default;
        const allowed = parameter.AllowedValues;

        if (value === undefined || value === null) {
            faults.push(`${name} has no value`);
        }
        if (allowed && value !== undefined
            && !allowed.map(String).includes(String(value))) {
            faults.push(`${name} is none of ${allowed}`);
        }
        values[name] = parameter.Type.startsWith('List<')
            ? String(value).split(',') : String(value);
    }
    for (const name of Object.keys(given)) {
        if (!template.Parameters[name]) {
            faults.push(`${name} is no parameter`);
        }
    }
}

function reference(name) {
    if (name in values) {
        return values[name];
    }
    if (!template.Resources[name]) {
        faults.push(`${name} is neither parameter nor resource`);
    }
    return `<${name}>`;
}

function attribute(name, attributeName) {
    const type = template.Resources[name]?.Type;
    const spec = type && typeOf(type);

    if (!spec?.attributes[attributeName]) {
        faults.push(`${name} has no attribute ${attributeName}`);
    }
    return `<${name}.${attributeName}>`;
}

function substitute(text, own) {
    return text.replace(/\$\{([^}]+)\}/g, (_, name) => {
        const [resource, ...rest] = name.split('.');
        return name in own ? resolve(own[name])
            : rest.length ? attribute(resource, rest.join('.'))
                : reference(name);
    });
}

const functions = {
    Ref: (name) => reference(name),
    'Fn::GetAtt': (path) => {
        const [name, ...rest] = typeof path === 'string' ? path.split('.')
            : path;
        return attribute(name, rest.join('.'));
    },
    'Fn::Sub': (of) => (typeof of === 'string' ? substitute(of, {})
        : substitute(of[0], of[1])),
    'Fn::If': ([name, yes, no]) => {
        if (!(name in template.Conditions)) {
            faults.push(`${name} is no condition`);
        }
        return resolve(resolve(template.Conditions[name]) ? yes : no);
    },
    'Fn::FindInMap': (path) => {
        const value = path.map(resolve)
            .reduce((map, key) => map?.[key], template.Mappings);
        if (value === undefined) {
            faults.push(`there is no ${path.map(resolve)} in the mappings`);
        }
        return value;
    },
    'Fn::Equals': ([a, b]) => resolve(a) === resolve(b),
    'Fn::Not': ([of]) => !resolve(of),
    'Fn::And': (all) => all.every(resolve),
    'Fn::Or': (all) => all.some(resolve),
    'Fn::Contains': ([list, one]) => list.includes(resolve(one)),
};

function resolve(node) {
    if (Array.isArray(node)) {
        return node.map(resolve).filter((value) => value !== GONE);
    }
    if (node === null || typeof node !== 'object') {
        return node;
    }
    const [name] = Object.keys(node);
    if (functions[name]) {
        return functions[name](node[name]);
    }
    if (name?.startsWith('Fn::')) {
        faults.push(`${name} is not known here`);
    }
    return Object.fromEntries(Object.entries(node)
        .map(([key, value]) => [key, resolve(value)])
        .filter(([, value]) => value !== GONE));
}

function checkRules() {
    for (const [name, rule] of Object.entries(template.Rules ?? {})) {
        const applies = !rule.RuleCondition || resolve(rule.RuleCondition);

        for (const { Assert, AssertDescription } of rule.Assertions) {
            if (applies && !resolve(Assert)) {
                faults.push(`rule ${name}: ${AssertDescription}`);
            }
        }
    }
}

// ---- AWS's types

const spec = loadAwsServiceSpecSync();

function typeOf(name) {
    return spec.lookup('resource', 'cloudFormationType', 'equals', name)[0];
}

function checkObject(value, properties, where) {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) {
        faults.push(`${where} is no object`);
        return;
    }
    for (const [name, property] of Object.entries(properties)) {
        if (property.required && !(name in value)) {
            faults.push(`${where} lacks ${name}`);
        }
    }
    for (const [name, inner] of Object.entries(value)) {
        if (!properties[name]) {
            faults.push(`${where} has no ${name}`);
        } else {
            check(inner, properties[name].type, `${where}.${name}`);
        }
    }
}

const isText = (value) => ['string', 'number', 'boolean']
    .includes(typeof value);
// CloudFormation takes a scalar for another where the text is right.
const scalars = {
    string: isText,
    'date-time': isText,
    number: (value) => isText(value) && !Number.isNaN(Number(value)),
    integer: (value) => /^-?\d+$/.test(String(value)),
    boolean: (value) => /^(true|false)$/.test(String(value)),
    json: (value) => typeof value === 'object',
};

function fits(value, type) {
    const length = faults.length;

    check(value, type, '');
    return faults.splice(length).length === 0;
}

function check(value, type, where) {
    switch (type.type) {
        case 'array':
            if (!Array.isArray(value)) {
                faults.push(`${where} is no list`);
                return;
            }
            value.forEach((item, n) => {
                check(item, type.element, `${where}[${n}]`);
            });
            return;
        case 'map':
            for (const [name, item] of Object.entries(value)) {
                check(item, type.element, `${where}.${name}`);
            }
            return;
        case 'ref':
            checkObject(value, spec.get('typeDefinition',
                type.reference.$ref).properties, where);
            return;
        case 'union':
            if (!type.types.some((one) => fits(value, one))) {
                faults.push(`${where} is of no type that it may have`);
            }
            return;
        case 'tag':
            return;
        default:
            if (!scalars[type.type]?.(value)) {
                faults.push(`${where} is no ${type.type}: `
                    + JSON.stringify(value));
            }
    }
}

function checkResource(name, { Type, Properties }) {
    const type = typeOf(Type);

    if (!type) {
        faults.push(`${name}: there is no ${Type}`);
    } else {
        checkObject(Properties, type.properties, name);
    }
}

// ---- all of it

const lines = readFileSync(logFile, 'utf8').trim().split('\n')
    .map((text) => ({ text, object: JSON.parse(text) }));
const inTheFile = faults;

function judge(parameters) {
    faults = [...inTheFile];
    takeParameters(parameters);
    checkRules();
    const resources = Object.fromEntries(Object.entries(template.Resources)
        .filter(([, { Condition }]) => !Condition
            || resolve(template.Conditions[Condition]))
        .map(([name, resource]) => [name, {
            ...resource, Properties: resolve(resource.Properties ?? {}),
        }]));

    for (const [name, resource] of Object.entries(resources)) {
        checkResource(name, resource);
        for (const other of [resource.DependsOn ?? []].flat()) {
            if (!template.Resources[other]) {
                faults.push(`${name} depends on ${other}, which there is not`);
            }
        }
    }
    resolve(template.Outputs);
    return { faults, resources, matches: matches(resources) };
}

function matches(resources) {
    return Object.fromEntries(Object.entries(resources)
        .filter(([, { Type }]) => Type === 'AWS::Logs::MetricFilter')
        .map(([name, { Properties }]) => {
            const isMatch = compile(Properties.FilterPattern);
            return [name, lines.flatMap(({ text, object }, n) =>
                (isMatch(text, object) ? [n] : []))];
        }));
}

console.log(JSON.stringify(Object.fromEntries(
    Object.entries(JSON.parse(parametersText))
        .map(([name, parameters]) => [name, judge(parameters)]))));
