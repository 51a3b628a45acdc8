package e2e

import "github.com/hopseal/hopseal/internal/engine"

// Resumes reports whether the first frame of a connection goes on with a session that this
// process has. It helps to decide which connections come first when there are too many, and
// costs a look into a table. The frame's id is not secret: every hop on its way has seen it.
func (srv *Server) Resumes(first []byte) bool {
	id, ok := engine.ResumeID(first)
	return ok && srv.find(id) != nil
}
