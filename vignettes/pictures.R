# Each vignette sources this file in its chunk `pictures`. R CMD check allows an installed package less than
# 5 MB, and pictures were most of the vignettes: a PNG file of at most 128 colours has half the size.

# `fig.process` of knitr. Without the package png the picture stays as it is.
fewer_colours <- function(path, most = 128) {
  if (!requireNamespace("png", quietly = TRUE)) {
    return(path)
  }
  image <- png::readPNG(path)
  size <- dim(image)[1:2]
  pixels <- matrix(image[, , 1:3], ncol = 3)
  key <- drop(round(255 * pixels) %*% c(65536, 256, 1))
  unique_keys <- unique(key)
  colours <- pixels[match(unique_keys, key), , drop = FALSE]
  nearest <- palette_of(colours, tabulate(match(key, unique_keys)), most)
  drawn <- grDevices::rgb(colours[nearest[match(key, unique_keys)], ])
  # R writes a palette where there are at most 256 colours.
  grDevices::png(path, size[2], size[1], type = "cairo", antialias = "none")
  on.exit(grDevices::dev.off())
  graphics::par(mar = c(0, 0, 0, 0), xaxs = "i", yaxs = "i")
  graphics::plot.new()
  graphics::rasterImage(matrix(drawn, size[1]), 0, 0, 1, 1, interpolate = FALSE)
  path
}

# For each colour (a row) the number of that which replaces it. The most frequent colour is kept first, then
# always that whose squared error, summed over its pixels, is the largest.
palette_of <- function(colours, counts, most) {
  distance_to <- function(i) colSums((t(colours) - colours[i, ])^2)
  nearest <- rep(which.max(counts), length(counts))
  error <- distance_to(nearest[1])
  for (k in seq_len(min(most, length(counts)) - 1)) {
    added <- which.max(error * sqrt(counts))
    closer <- distance_to(added)
    nearest[closer < error] <- added
    error <- pmin(error, closer)
  }
  nearest
}

knitr::opts_chunk$set(dev = "png", dpi = 72, fig.process = fewer_colours)
