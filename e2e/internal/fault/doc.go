// Package fault has the errors of e2e. They say what ended a session or one of its
// connections, why a handshake failed, and what the other end refused. They are in a package
// below e2e so that the parts of a session can return them. Package e2e gives each its public
// name, and explains it to users.
package fault
