#' Read a folder of images
#'
#' Reads PNG and JPEG files from a folder with one subfolder for each class, in the form that
#' [train_sense()] takes. The names of the subfolders are the classes. The files are read by Python with
#' the package pillow.
#'
#' Classes and files are in the order of their names (that of the C locale). Hidden files and folders, and links that lead out
#' of the folder, are left out. A file that cannot be read is an error with its name.
#'
#' @param folder The folder, with a subfolder for each class.
#' @param size `c(height, width)`: each image is resized to this size, by area averaging or bilinear
#'   interpolation. Default: all images must have the same size.
#' @param colour `TRUE` for three channels, `FALSE` for grey. Default: grey if all images are grey.
#' @param max_images Largest number of images. More are an error, before any is read.
#' @return A list: `x`, an array n x height x width (x 3) of integers from 0 to 255; `y`, a factor whose
#'   levels are the names of the subfolders; `files`, the paths of the files within the folder.
#' @examples
#' if (sense_available() && reticulate::py_module_available("PIL")) {
#'   folder <- tempfile("images-")
#'   for (class in c("dark", "light")) {
#'     dir.create(file.path(folder, class), recursive = TRUE)
#'     for (i in 1:3) {
#'       grDevices::png(file.path(folder, class, paste0(i, ".png")), width = 8, height = 8)
#'       graphics::par(bg = if (class == "dark") "grey20" else "grey90", mar = c(0, 0, 0, 0))
#'       graphics::plot.new()
#'       grDevices::dev.off()
#'     }
#'   }
#'   images <- images_from_folder(folder)
#'   dim(images$x)
#'   table(images$y)
#' }
#' \dontrun{
#' images <- images_from_folder("photos", size = c(32, 32))
#' fit <- train_sense(images$x, images$y, eps = 8 / 255)
#' }
#' @family functions to train
#' @export
images_from_folder <- function(folder, size = NULL, colour = NULL, max_images = 100000) {
  check_folder(folder, hint = "Give the path of a folder of images, with a folder for each class.")
  if (!is.null(size)) {
    size <- check_numbers(size, min = 1, whole = TRUE, least = 2)
    if (length(size) != 2) refuse(size, "size", "c(height, width)")
  }
  if (!is.null(colour)) colour <- check_flag(colour)
  found <- call_python("images_from_folder", drop_null(list(
    folder = path.expand(folder), size = if (!is.null(size)) as.list(size), colour = colour,
    max_images = check_count(max_images)
  )))
  classes <- unlist(found$classes)
  x <- found$x
  if (length(dim(x)) == 4 && dim(x)[4] == 1) dim(x) <- dim(x)[1:3]
  storage.mode(x) <- "integer"
  list(
    x = x, y = factor(classes[unlist(found$y) + 1], levels = classes), files = unlist(found$files)
  )
}
