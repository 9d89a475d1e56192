# After R CMD check, in the folder check: the vignettes are found by name where the package was
# installed from the tarball, and ask nothing of a network when they are read.
tarball <- Sys.glob("sense_*.tar.gz")
stopifnot("sense/build/vignette.rds" %in% untar(tarball, list = TRUE))
library <- if (dir.exists("sense.Rcheck")) "sense.Rcheck" else commandArgs(TRUE)[1]
for (name in c("mnist", "theory", "three-clusters")) {
  page <- suppressWarnings(vignette(name, package = "sense", lib.loc = library))
  found <- file.path(page$Dir, "doc", page$PDF)
  if (!length(found) || !file.exists(found)) stop("vignette(\"", name, "\") is not found")
  html <- paste(readLines(found, warn = FALSE), collapse = "\n")
  fetched <- regmatches(html, gregexpr("<(script|link|img|iframe)[^>]*(src|href)=.?(https?:)?//[^>]*>|mathjax|@import", html, ignore.case = TRUE))[[1]]
  if (length(fetched)) stop(name, " fetches ", paste(fetched, collapse = ", "))
}
cat("vignettes: found by name, and whole\n")
