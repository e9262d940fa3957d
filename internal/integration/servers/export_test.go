package servers

var (
	Missing        = missing
	SharedMemoryID = sharedMemoryID
	RequireProgram = require
	Find           = find
)
