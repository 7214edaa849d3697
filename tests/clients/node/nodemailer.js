// nodemailer against a server: CONFIG as JSON in argv[2]; prints what the server said as JSON.
const nodemailer = require('nodemailer');

const config = JSON.parse(process.argv[2]);

async function main() {
    const transport = nodemailer.createTransport({host: '127.0.0.1', port: config.port, secure: config.secure,
        requireTLS: !config.secure, tls: {rejectUnauthorized: false}, auth: {user: config.user, pass: config.pass}});
    const info = await transport.sendMail({from: config.user, to: config.to, subject: config.subject, text: 'Viele Grüße\n.\n',
        attachments: [{filename: 'Grüße.txt', content: 'x\r\n'}]});
    transport.close();
    console.log(JSON.stringify({accepted: info.accepted, response: info.response}));
}

main().catch((e) => {
    console.error(e);
    process.exit(1);
});
