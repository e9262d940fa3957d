package servers

var (
	Missing        = missing
	SharedMemoryID = sharedMemoryID
	RequireProgram = require
	SystemDirs     = systemDirs
	Find           = find
)
