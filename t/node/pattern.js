// pattern.js - CloudWatch Logs' filter patterns, as far as the template uses
// them:
//
//   { ($.key = "text*") && ($.number > 0) || ... }   of lines that are JSON
//   ?word ?word                                      any of the words, as bytes

function words(pattern) {
    const wanted = pattern.trim().split(/\s+/);

    if (!wanted.every((word) => /^\?\w+$/.test(word))) {
        throw new Error(`${pattern}: only ?word is known here`);
    }
    return (line) => wanted.some((word) => line.includes(word.slice(1)));
}

function textTest(text) {
    const parts = text.split('*')
        .map((part) => part.replace(/[^\w\s]/g, '\\$&'));
    const wanted = new RegExp(`^${parts.join('.*')}$`, 's');

    return (value) => wanted.test(value ?? '\0');
}

function json(pattern) {
    const tokens = pattern.match(
        /\$\.[\w.]+|"[^"]*"|&&|\|\||[(){}=>]|[^\s()]+/g);
    const take = (wanted) => {
        const token = tokens.shift();
        if (wanted && token !== wanted) {
            throw new Error(`${pattern}: ${token} is not ${wanted}`);
        }
        return token;
    };
    const comparison = () => {
        const keys = take().slice(2).split('.');
        const operator = take();
        const right = take();
        const isRight = operator === '=' ? textTest(right.slice(1, -1))
            : operator === '>' ? (value) => typeof value === 'number'
                && value > Number(right) : null;

        if (!isRight) {
            throw new Error(`${pattern}: ${operator} is not known here`);
        }
        return (line) => isRight(
            keys.reduce((value, key) => value?.[key], line));
    };
    const term = () => {
        if (tokens[0] !== '(') {
            return comparison();
        }
        take('(');
        const inner = any();
        take(')');
        return inner;
    };
    const joined = (operator, next, judge) => {
        const terms = [next()];
        while (tokens[0] === operator) {
            take(operator);
            terms.push(next());
        }
        return (line) => judge(terms, (one) => one(line));
    };
    const all = () => joined('&&', term, (terms, test) => terms.every(test));
    const any = () => joined('||', all, (terms, test) => terms.some(test));

    take('{');
    const matches = any();
    take('}');
    if (tokens.length) {
        throw new Error(`${pattern}: what follows is too much`);
    }
    return (line, object) => matches(object);
}

// A function of a line, as text and as the object that it is.
export function compile(pattern) {
    return pattern.startsWith('{') ? json(pattern) : words(pattern);
}
