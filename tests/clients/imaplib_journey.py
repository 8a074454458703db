"""A user's whole journey with Python's imaplib; prints what it was told as one JSON object."""
import imaplib
import json
import ssl
import sys

user, password, starttls_port, tls_port, ca = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
told = {}

imap = imaplib.IMAP4('localhost', int(starttls_port), timeout=20)
told['login before TLS'] = 'LOGINDISABLED' in imap.capabilities
imap.starttls(context)
imap.login(user, password)
told['namespace'] = imap.namespace()
told['create'] = imap.create('"work/2026"')[0], imap.subscribe('work/2026')[0]
told['rename'] = imap.rename('work/2026', 'work/2027')[0]
told['list'] = imap.list('""', 'work/*')[1]
told['lsub'] = imap.lsub('""', '*')[1]
told['status'] = imap.status('INBOX', '(MESSAGES UNSEEN UIDNEXT)')[1]
told['select'] = imap.select('INBOX')
told['search'] = imap.search('UTF-8', 'FROM', 'bob', 'UNSEEN', 'SENTSINCE', '2-Mar-2026')
told['sort'] = imap.sort('(REVERSE SUBJECT)', 'UTF-8', 'ALL')
told['thread'] = imap.thread('REFERENCES', 'UTF-8', 'ALL')
told['peek'] = imap.fetch('1', '(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])')[1][0]
told['read'] = imap.fetch('1', '(BODY[TEXT])')[1]
told['partial'] = imap.fetch('1', '(BODY.PEEK[]<6.12>)')[1][0]
told['store'] = imap.store('2', '+FLAGS.SILENT', r'(\Flagged $Label1)')[0]
told['flags'] = imap.uid('FETCH', '1:2', '(FLAGS)')[1]
told['append'] = imap.append('work/2027', r'(\Draft)', imaplib.Time2Internaldate(0), b'Subject: draft\n\nhi\n')[0]
told['copy'] = imap.uid('COPY', '1', 'work/2027')[0]
told['move'] = imap.uid('MOVE', '2', 'Archive')[0]
told['delete'] = imap.store('2', '+FLAGS', r'\Deleted')[1]
told['expunge'] = imap.expunge()
told['close'] = imap.close()[0]
told['bye'] = imap.logout()[0]

imap = imaplib.IMAP4_SSL('localhost', int(tls_port), ssl_context=context, timeout=20)
imap.authenticate('PLAIN', lambda _: f'\0{user}\0{password}'.encode())
told['read only'] = imap.select('work/2027', readonly=True)
told['appended'] = imap.fetch('1', '(FLAGS INTERNALDATE RFC822.SIZE)')[1]
told['copied'] = imap.fetch('2', '(FLAGS RFC822.SIZE)')[1]
told['refused'] = imap.store('1', '+FLAGS', r'\Seen')[0]
told['unselect'] = imap.unselect()[0]
told['emptied'] = imap.delete('work/2027')[0], imap.delete('work')[0]
told['recent'] = imap.select('INBOX')
imap.logout()
print(json.dumps(told, default=lambda octets: octets.decode()))
