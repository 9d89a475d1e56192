# Skip a test that needs Python if there is none.
skip_if_no_sense <- function() {
  problem <- sense:::python_problem()
  if (!is.null(problem)) {
    testthat::skip(paste0("needs Python with torch: ", problem))
  }
}

# A short run on the MNIST sample, computed once for all tests.
short_fit <- local({
  fit <- NULL
  function() {
    if (is.null(fit)) fit <<- train_short()
    fit
  }
})

train_short <- function(..., out = NULL) {
  train_sense(
    model = "capacity-1", epochs = 1, lr = 0.05, ...,
    control = sense_control(out = out, threads = 1, monitor_size = 32, quiet = TRUE)
  )
}

# The test images of the sample in R's order: n x height x width, whole numbers.
sample_images <- function(n, part = "t10k") {
  folder <- system.file("python", "sense", "data", "mnist_sample", package = "sense")
  images <- gzfile(file.path(folder, paste0(part, "-images-idx3-ubyte.xz")), "rb") # gzfile() reads xz too
  labels <- gzfile(file.path(folder, paste0(part, "-labels-idx1-ubyte.gz")), "rb")
  on.exit({
    close(images)
    close(labels)
  })
  readBin(images, "raw", 16)
  readBin(labels, "raw", 8)
  pixels <- as.integer(readBin(images, "raw", n * 28 * 28))
  # In IDX the column varies fastest, then the row, then the image.
  list(
    x = aperm(array(pixels, c(28, 28, n)), c(3, 2, 1)),
    y = factor(as.integer(readBin(labels, "raw", n)), levels = 0:9)
  )
}

# The output of R code in a new process with the given environment variables.
fresh_r <- function(code, env = character()) {
  file <- tempfile(fileext = ".R")
  writeLines(code, file)
  rscript <- file.path(R.home("bin"), "Rscript")
  suppressWarnings(system2(rscript, file, stdout = TRUE, stderr = TRUE, env = env))
}

# Start R code in a new process: its id, and a function that returns the lines it has printed so far.
background_r <- function(code) {
  log <- tempfile()
  file <- tempfile(fileext = ".R")
  writeLines(code, file)
  files <- shQuote(c(file.path(R.home("bin"), "Rscript"), file, log))
  pid <- system(sprintf("%s %s >%s 2>&1 & echo $!", files[1], files[2], files[3]), intern = TRUE)
  list(pid = as.integer(pid), output = function() readLines(log))
}

# Wait until the condition holds, at most so many seconds.
wait_until <- function(condition, seconds) {
  holds <- substitute(condition)
  frame <- parent.frame()
  for (i in seq_len(10 * seconds)) {
    if (eval(holds, frame)) break
    Sys.sleep(0.1)
  }
}
