# Seconds from an R array of 60,000 images of 28 x 28 to a torch tensor, as JSON:
#
#   Rscript bench/images.R [rounds] [images]
#
# with the package installed. The pixels are integers from 0 to 255, or numbers from 0 to 1.
# `tensor` is the conversion only; `data set` is everything before the first step of
# train_sense(x, y): checks and conversion of images and labels, and their hash.
arguments <- as.integer(commandArgs(trailingOnly = TRUE))
rounds <- if (length(arguments) > 0) arguments[1] else 5L
n <- if (length(arguments) > 1) arguments[2] else 60000L

set.seed(1)
whole <- array(sample(0:255, n * 28 * 28, replace = TRUE), c(n, 28, 28))
arrays <- list("whole numbers" = whole, "0 to 1" = whole / 255)
y <- factor(rep(0:9, length.out = n))
bridge <- sense:::sense_bridge()

seconds <- function(code) {
  gc()
  began <- Sys.time()
  code
  as.numeric(difftime(Sys.time(), began, units = "secs"))
}
data_set <- function(x) {
  do.call(bridge$image_data_from_r, sense:::as_images(x, y, x[1:10, , ], y[1:10]))
}

for (x in arrays) {
  tensor <- bridge$images_from_r(x, NULL)
  few <- tensor[0:9]$squeeze(1L)$double()$numpy()
  stopifnot(all.equal(few, x[1:10, , ] + 0, tolerance = 1e-7), tensor$shape[[0]] == n)
}
times <- list()
for (round in seq_len(rounds)) {
  for (name in names(arrays)) {
    x <- arrays[[name]]
    tensor <- paste("tensor,", name)
    whole_way <- paste("data set,", name)
    times[[tensor]] <- c(times[[tensor]], seconds(bridge$images_from_r(x, NULL)))
    times[[whole_way]] <- c(times[[whole_way]], seconds(data_set(x)))
  }
}
cat(jsonlite::toJSON(times, digits = NA), "\n")
