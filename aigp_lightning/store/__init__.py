"""The model store: promoted versions of models with receipts, the one that is latest, and the journal.

    models/
      latest/gates          a link to ../versions/<id>; a text file with that path where the system has no such links
      versions/<id>/        the files, and receipt.json
      journal.jsonl         one line of JSON for everything that happened, with the hash of the line before
      .lock                 while somebody changes the store
      .unfinished           from before the first change of a promotion or rollback to after its last one

`<id>` is made of the names and SHA-256 of the model's files: the same files are the same version.

A promotion changes the store in this order, and a kill may come between any two steps:

1. the lock is taken, and what an earlier kill has cut short is finished;
2. the files are copied into `versions/.staging-…`, hashed as they are copied, and synced, the receipt with them;
3. `.unfinished` names the version, and the folder gets its place in `versions/` by one renaming;
4. the link of the new version is made under another name, so that nothing that needs room is left to do;
5. the line of the journal is appended and synced: from here on the promotion counts;
6. the link takes its place by one renaming;
7. backups beyond `--keep` are removed, and then `.unfinished`.

Before step 5 the next one who takes the lock removes what is there, after it the rest is done. A reader sees the old
version whole or the new one whole, at any time and without a lock, if the link is followed once: `StorePlaces.latest`.
"""
