// Package keystore keeps an identity, its shared keysets and its known peers in one encrypted file,
// and changes the keys in time.
//
// Most programs create a store once, and open it at every start:
//
//	store, err := keystore.Create(ctx, path, secret, me)   // once, or: hopseal key new
//
//	store, err := keystore.Open(ctx, path, secret)         // at every start
//	go store.Run(ctx, keystore.DefaultRotation)            // or peers refuse the identity after 30 days
//
// The secret is a [Passphrase] or a key in a key management service, see [KMS]. What comes out of a
// store, such as [Store.Identity] and [Store.KnownPeers], follows every change by itself.
//
// # What is protected
//
// The file is sealed with AES-256-GCM. Its key comes from the passphrase through Argon2id, or from
// the service. Whoever reads the file without the secret learns its size. Whoever changes it makes
// it unreadable. Nobody can tell an old copy from the newest state when a store is opened; peers
// refuse a statement that is older than one they have seen, and a running [Replica] refuses an
// older file. Go cannot promise to erase memory: keys stay there until the process ends.
//
// Every change is on disk before it takes effect. Whatever happens to the process, the file is the
// old one or the new one. Messages that an AES256_GCM key seals are counted on disk before they
// are sealed, since such a key seals a limited number, see [keys.ErrSealLimit].
//
// # Who writes, who reads
//
// One process has a [Store] open. A [Client] has that process make changes, and so does the command
// hopseal. Any number of processes follow the file as a [Replica]. Locks are those of the system:
// on a network file system they have to work between machines.
//
// # What the caller does
//
// Run [Store.Run], or call [Store.Rotate] at least once a day. Back the file up, and keep a
// revocation apart from it, see [keys.Identity.Revocation]. [Store.MarshalCleartext] and [Restore]
// are for backups that shall survive the secret.
//
// The package is for machines with files. Browsers have no key stores: a program that is compiled
// for one must not import it.
package keystore
