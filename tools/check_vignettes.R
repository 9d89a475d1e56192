# Run in the folder check, after R CMD check: vignettes of the installed package are found by name, and
# their pages load nothing from the internet.
tarball <- Sys.glob("sense_*.tar.gz")
stopifnot("sense/build/vignette.rds" %in% untar(tarball, list = TRUE))
library <- if (dir.exists("sense.Rcheck")) "sense.Rcheck" else commandArgs(TRUE)[1]
for (name in c("cifar10", "mnist", "theory", "three-clusters")) {
  page <- suppressWarnings(vignette(name, package = "sense", lib.loc = library))
  found <- file.path(page$Dir, "doc", page$PDF)
  if (!length(found) || !file.exists(found)) stop("vignette(\"", name, "\") is not found")
  html <- paste(readLines(found, warn = FALSE), collapse = "\n")
  loaded <- regmatches(html, gregexpr("<(script|link|img|iframe)[^>]*(src|href)=.?(https?:)?//[^>]*>|mathjax|@import", html, ignore.case = TRUE))[[1]]
  if (length(loaded)) stop(name, " loads ", paste(loaded, collapse = ", "))
}
cat("vignettes: found by name, no resources from the internet\n")
