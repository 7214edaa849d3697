// The npm package smtp-server as other people's mail server, on many addresses, on each with a trouble of its own.
// argv[2]: {port, hosts: {name: {address, play, cert, key, options}}}. Says {"up": true} when all listen, then one line of JSON
// for each message that it took or might have: {host, from, to, bytes, dsn, secure, answered}. Ends with its standard input.
const fs = require('fs');
const {SMTPServer} = require('smtp-server');

const config = JSON.parse(process.argv[2]);
const say = (what) => process.stdout.write(JSON.stringify(what) + '\n');
const refuse = (code, text) => Object.assign(new Error(text), {responseCode: code});
const later = (ms, callback) => setTimeout(callback, ms).unref();

// A step of a play: what the handler does instead of saying yes. drop breaks the connection off.
const steps = {
    4: (go, drop) => go(refuse(451, 'not now')),
    5: (go, drop) => go(refuse(550, 'never')),
    drop: (go, drop) => drop(),
    slow: (go, drop) => later(config.slow_ms, () => go()),
    421: (go, drop) => go(refuse(421, 'closing')),
};

// A play is "stage-step", at every connection, or "stage-step-once", at the first one only. Stages: connect, secure, mail, rcpt,
// begin (of the text), data (behind its end); rcpt is about recipients whose name begins with "no" when there are such.
function serve(name, host) {
    const [stage, step, times] = host.play.split('-');
    let seen = 0;
    const bad = new Set();
    const plays = (at, session) => at === stage && bad.has(session.id);

    const server = new SMTPServer({
        authOptional: true, disabledCommands: ['AUTH'], closeTimeout: 100, disableReverseLookup: true,
        ...(host.cert ? {cert: fs.readFileSync(host.cert), key: fs.readFileSync(host.key)} : {hideSTARTTLS: true}),
        ...host.options,
        onConnect(session, callback) {
            if (times !== 'once' || seen === 0) bad.add(session.id);
            seen++;
            perform('connect', session, callback);
        },
        onSecure(socket, session, callback) {
            perform('secure', session, callback);
        },
        onMailFrom(address, session, callback) {
            perform('mail', session, callback);
        },
        onRcptTo(address, session, callback) {
            if (step.length === 1 && host.some && !address.address.startsWith('no')) return callback();
            perform('rcpt', session, callback);
        },
        onData(stream, session, callback) {
            let bytes = 0;
            if (plays('begin', session)) return drop(session);
            stream.on('data', (chunk) => {
                bytes += chunk.length;
            });
            stream.on('error', () => {});
            stream.on('end', () => {
                const e = session.envelope;
                const took = {host: name, from: e.mailFrom.address, to: e.rcptTo.map((r) => r.address), bytes, secure: session.secure,
                    utf8: e.smtpUtf8 || false, dsn: {mail: e.dsn || null, rcpt: e.rcptTo.map((r) => r.dsn || null)}};
                const known = plays('data', session) ? {4: 'no', 5: 'no', 421: 'no'}[step] || 'never' : 'yes';
                say({...took, answered: known});
                perform('data', session, callback);
            });
        },
    });

    function drop(session) {
        for (const connection of server.connections) {
            if (connection.id === session.id) connection._socket.destroy();
        }
    }

    function perform(at, session, callback) {
        if (!plays(at, session)) return callback();
        steps[step](callback, () => drop(session));
    }

    server.on('error', () => {});
    return new Promise((done) => server.listen(config.port, host.address, done));
}

Promise.all(Object.entries(config.hosts).map(([name, host]) => serve(name, host))).then(() => say({up: true}));
process.stdin.on('end', () => process.exit(0)).resume();
